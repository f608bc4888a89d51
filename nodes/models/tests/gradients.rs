//! The backward pass of a whole model: Geneformer with LoRA on query, key and value of every layer and a head of three
//! layers, against the gradients, losses and weights of PyTorch and peft (fixture geneformer-v1, arrays `ft.*`).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a test says what it skips and stops at what fails"
)]

mod common;

use std::collections::BTreeMap;

use celldag_models::geneformer::{Checkpoint, Encoder};
use celldag_models::{Adapters, Lora, Pooling, Readout, Slot};
use celldag_shaders::ops::{self, Activation, Adam, Parameter};
use celldag_shaders::{Device, Tape, Tensor};
use common::{Golden, assert_close, devices};

const PREFIX: &str = "base_model.model.";
const HIDDEN: usize = 32;
const RANK: usize = 8;
/// The run has alpha 8 and rank 8.
const SCALE: f32 = 1.0;

/// One trained tensor: its name in the fixture, and its place in the model.
struct Trained {
    name: String,
    parameter: Parameter,
    slot: Slot,
}

fn trained(golden: &Golden, device: &Device, name: String, shape: &[usize]) -> Trained {
    let values = device.upload(shape, &golden.f32s(&format!("ft.init.{name}"))).unwrap();
    Trained { name, slot: Slot::new(values.clone()), parameter: Parameter::new(values).unwrap() }
}

/// The model and everything that is trained: adapters first, then `fc1`, `fc2`, `fc3` with weight and bias each.
fn load(golden: &Golden, device: &Device) -> (Encoder, Vec<Trained>) {
    let (mut all, mut adapters) = (Vec::new(), BTreeMap::new());
    for layer in 0..3 {
        for projection in ["query", "key", "value"] {
            let path = format!("bert.encoder.layer.{layer}.attention.self.{projection}");
            let a = trained(golden, device, format!("{PREFIX}{path}.lora_A.weight"), &[RANK, HIDDEN]);
            let b = trained(golden, device, format!("{PREFIX}{path}.lora_B.weight"), &[HIDDEN, RANK]);
            adapters.insert(path, Lora { a: a.slot.clone(), b: b.slot.clone(), scale: SCALE });
            all.extend([a, b]);
        }
    }
    for (name, outputs) in [("fc1", HIDDEN), ("fc2", HIDDEN), ("fc3", 1)] {
        all.push(trained(golden, device, format!("head.{name}.weight"), &[outputs, HIDDEN]));
        all.push(trained(golden, device, format!("head.{name}.bias"), &[outputs]));
    }
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    (Encoder::adapted(&checkpoint, device, &Adapters::new(adapters)).unwrap(), all)
}

/// The fixture's batch: tokens of its cells, and their labels as `[cells, 1]`.
fn batch(golden: &Golden, device: &Device) -> (Vec<Vec<u32>>, Tensor) {
    let tokens = golden.tokens();
    let cells: Vec<Vec<u32>> =
        golden.i32s("ft.cell_index").iter().map(|&i| tokens[i as usize].clone()).collect();
    let labels: Vec<f32> = golden.i64s("ft.label").iter().map(|&label| label as f32).collect();
    let labels = device.upload(&[labels.len(), 1], &labels).unwrap();
    (cells, labels)
}

/// Embeddings and logits of the batch.
fn forward(encoder: &Encoder, all: &[Trained], cells: &[Vec<u32>]) -> (Tensor, Tensor) {
    let embeddings = encoder.pooled(cells, Readout { layer: -1, pooling: Pooling::Mean }).unwrap();
    let mut x = embeddings.clone();
    for (number, pair) in all[all.len() - 6..].chunks_exact(2).enumerate() {
        let activation = if number < 2 { Activation::Relu } else { Activation::None };
        x = ops::linear(&x, &pair[0].slot.get(), Some(&pair[1].slot.get()), activation).unwrap();
    }
    (embeddings, x)
}

#[test]
fn lora_and_head_learn_as_with_peft() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    for device in devices() {
        // A software driver takes half a minute for the whole run: one step shows every gradient.
        if device.info().software {
            learn(&golden, &device, false, 1);
        } else {
            for recompute in [false, true] {
                learn(&golden, &device, recompute, 5);
            }
        }
    }
}

fn learn(golden: &Golden, device: &Device, recompute: bool, steps: usize) {
    let what = |array: &str| format!("{array} on {}, recompute {recompute}", device.info().backend);
    let (encoder, mut all) = load(golden, device);
    let (cells, labels) = batch(golden, device);
    let settings = Adam { lr: 1e-3, ..Adam::default() };
    for (step, &want) in golden.f32s("ft.loss").iter().take(steps).enumerate() {
        let tape = Tape::with_recompute(recompute);
        let watched: Vec<Tensor> = all.iter().map(|trained| tape.watch(trained.parameter.value())).collect();
        for (trained, watched) in all.iter().zip(&watched) {
            trained.slot.set(watched.clone());
        }
        let (embeddings, logits) = forward(&encoder, &all, &cells);
        let loss = ops::bce_with_logits(&logits, &labels, None).unwrap();
        assert_close(&[loss.mean().unwrap()], &[want], 1e-5, &what(&format!("loss before update {step}")));
        if step == 0 {
            let want = golden.f32s("ft.emb_step1");
            assert_close(&embeddings.read().unwrap(), &want, 2e-5, &what("ft.emb_step1"));
        }
        let gradients = tape.gradients(&logits, &loss.gradient).unwrap();
        for (trained, watched) in all.iter_mut().zip(&watched) {
            let gradient = gradients.of(watched).unwrap();
            if step == 0 {
                let array = format!("ft.grad1.{}", trained.name);
                assert_close(&gradient.read().unwrap(), &golden.f32s(&array), 1e-6, &what(&array));
            }
            ops::adam(&mut trained.parameter, gradient, &settings).unwrap();
        }
    }
    if steps < 5 {
        return;
    }
    for trained in &all {
        trained.slot.set(trained.parameter.value().clone());
        let array = format!("ft.after5.{}", trained.name);
        let got = trained.parameter.value().read().unwrap();
        assert_close(&got, &golden.f32s(&array), 2e-4, &what(&array));
    }
    let (_, logits) = forward(&encoder, &all, &cells);
    let probabilities = ops::activate(&logits, Activation::Sigmoid).unwrap().read().unwrap();
    assert_close(&probabilities, &golden.f32s("ft.prob_after5"), 1e-5, &what("ft.prob_after5"));
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let device = Device::cpu(1).unwrap();
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let refused = |path: &str, a: [usize; 2], b: [usize; 2]| {
        let [a, b] = [a, b].map(|shape| Slot::new(device.zeros(&shape).unwrap()));
        let layers = BTreeMap::from([(path.to_owned(), Lora { a, b, scale: SCALE })]);
        Encoder::adapted(&checkpoint, &device, &Adapters::new(layers)).unwrap_err().to_string()
    };
    let message = refused("bert.encoder.layer.7.attention.self.query", [RANK, HIDDEN], [HIDDEN, RANK]);
    assert!(
        message.contains("no linear layer called bert.encoder.layer.7.attention.self.query"),
        "{message}"
    );
    let message = refused("bert.encoder.layer.0.attention.self.query", [RANK, HIDDEN], [HIDDEN, 4]);
    assert!(message.contains("32 inputs and 32 outputs") && message.contains("[32, 4]"), "{message}");
}
