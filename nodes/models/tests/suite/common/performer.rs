//! The fine-tuning run of the fixtures scbert and celllm (arrays `lora.*`): adapters and a head of three layers against the
//! gradients, losses and weights of PyTorch and peft, with all cells in one forward pass.

use std::collections::BTreeMap;

use celldag_data::CellsFile;
use celldag_models::{Adapters, Lora, Slot};
use celldag_shaders::ops::{self, Activation, Adam, Parameter};
use celldag_shaders::{Device, Tape, Tensor};

use super::{Golden, assert_close};

/// Rank and alpha of the runs are 8.
const SCALE: f32 = 1.0;
const STEPS: usize = 5;

/// One trained tensor: its name in the fixture, and its place in the model.
struct Trained {
    name: String,
    parameter: Parameter,
    slot: Slot,
}

fn trained(golden: &Golden, device: &Device, name: String) -> Trained {
    let array = format!("lora.init.{name}");
    let shape = &golden.expected.info(&array).unwrap().shape;
    let values = device.upload(shape, &golden.f32s(&array)).unwrap();
    Trained { name, slot: Slot::new(values.clone()), parameter: Parameter::new(values).unwrap() }
}

/// Adapters in the fixture's names and what is trained: adapters first, then `fc1`, `fc2`, `fc3` with weight and bias each.
fn start(golden: &Golden, device: &Device) -> (Adapters, Vec<Trained>) {
    let layer = |name: &str| {
        let inner = name.strip_prefix("lora.init.")?.strip_suffix(".lora_A.weight")?;
        Some(inner.to_owned())
    };
    let layers: Vec<String> = golden.expected.names().iter().filter_map(|name| layer(name)).collect();
    let (mut all, mut adapters) = (Vec::new(), BTreeMap::new());
    for path in layers {
        let a = trained(golden, device, format!("{path}.lora_A.weight"));
        let b = trained(golden, device, format!("{path}.lora_B.weight"));
        adapters.insert(path, Lora::new(a.slot.clone(), b.slot.clone(), SCALE));
        all.extend([a, b]);
    }
    for layer in ["fc1", "fc2", "fc3"] {
        for part in ["weight", "bias"] {
            all.push(trained(golden, device, format!("head.{layer}.{part}")));
        }
    }
    (Adapters::new(adapters), all)
}

fn labels(golden: &Golden, device: &Device) -> Tensor {
    let cells = CellsFile::open(golden.folder.join("input.h5ad")).unwrap();
    let column = cells.obs().column("label").unwrap();
    let labels: Vec<f32> = (0..column.len()).map(|i| column.as_text(i).unwrap().parse().unwrap()).collect();
    device.upload(&[labels.len(), 1], &labels).unwrap()
}

fn logits(embeddings: &Tensor, all: &[Trained]) -> Tensor {
    let mut x = embeddings.clone();
    for (number, pair) in all[all.len() - 6..].chunks_exact(2).enumerate() {
        let activation = if number < 2 { Activation::Relu } else { Activation::None };
        x = ops::linear(&x, &pair[0].slot.get(), Some(&pair[1].slot.get()), activation).unwrap();
    }
    x
}

/// Five steps on one device. `load` gives an encoder with the adapters, as what it makes of the run's cells.
pub(crate) fn learn<'a>(
    golden: &Golden,
    device: &Device,
    recompute: bool,
    load: impl FnOnce(&Adapters) -> Box<dyn Fn() -> Tensor + 'a>,
) {
    let what = |array: &str| format!("{array} on {}, recompute {recompute}", device.info().backend);
    let (adapters, mut all) = start(golden, device);
    let embed = load(&adapters);
    let labels = labels(golden, device);
    let settings = Adam { lr: 1e-3, ..Adam::default() };
    let losses = golden.f32s("lora.losses");
    assert_eq!(losses.len(), STEPS);
    for (step, &want) in losses.iter().enumerate() {
        let tape = Tape::with_recompute(recompute);
        let watched: Vec<Tensor> = all.iter().map(|trained| tape.watch(trained.parameter.value())).collect();
        for (trained, watched) in all.iter().zip(&watched) {
            trained.slot.set(watched.clone());
        }
        let embeddings = embed();
        let logits = logits(&embeddings, &all);
        let loss = ops::bce_with_logits(&logits, &labels, None).unwrap();
        assert_close(&[loss.mean().unwrap()], &[want], 1e-5, &what(&format!("loss before update {step}")));
        if step == 0 {
            assert_close(
                &embeddings.read().unwrap(),
                &golden.f32s("lora.emb_step1"),
                2e-5,
                &what("emb_step1"),
            );
            let got = ops::activate(&logits.detach(), Activation::Sigmoid).unwrap().read().unwrap();
            assert_close(&got, &golden.f32s("lora.prob_step1"), 1e-5, &what("prob_step1"));
        }
        let gradients = tape.gradients(&logits, &loss.gradient).unwrap();
        for (trained, watched) in all.iter_mut().zip(&watched) {
            let gradient = gradients.of(watched).unwrap();
            if step == 0 {
                let array = format!("lora.grad1.{}", trained.name);
                let want = golden.f32s(&array);
                let largest = want.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                assert_close(&gradient.read().unwrap(), &want, 1e-7 + 5e-3 * largest, &what(&array));
            }
            ops::adam(&mut trained.parameter, gradient, &settings).unwrap();
        }
    }
    for trained in &all {
        let array = format!("lora.after5.{}", trained.name);
        // A gradient of about zero may have either sign, and Adam's steps have the same length for all.
        assert_close(&trained.parameter.value().read().unwrap(), &golden.f32s(&array), 2e-3, &what(&array));
    }
}
