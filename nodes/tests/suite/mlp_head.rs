//! The reference trainings of the MLP head (torch, float64), step by step, on both backends.

use celldag_nodes::learn::mlp::{
    Embedding, FeatureRows, LossKind, Network, Objective, Optimizer, TrainSettings, TrainingData, train,
};
use celldag_nodes::learn::split::{Role, SplitRow};
use celldag_shaders::Device;
use celldag_shaders::ops::{Adam, Sgd};
use safetensors::SafeTensors;
use serde_json::Value;

/// The native CPU backend, and the software GPU where there is one.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::cpu(2).expect("cpu")];
    match Device::open("software", 0) {
        Ok(device) => devices.push(device),
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "no software GPU in CI: {e}");
            println!("SKIP: no software GPU: {e}");
        }
    }
    devices
}

struct Golden<'a> {
    tensors: SafeTensors<'a>,
}

impl Golden<'_> {
    fn f64(&self, name: &str) -> Vec<f64> {
        let view = self.tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        match view.dtype() {
            safetensors::Dtype::F32 => view
                .data()
                .chunks(4)
                .map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("4"))))
                .collect(),
            safetensors::Dtype::F64 => {
                view.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().expect("8"))).collect()
            }
            safetensors::Dtype::I64 => {
                view.data().chunks(8).map(|b| i64::from_le_bytes(b.try_into().expect("8")) as f64).collect()
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    fn f32(&self, name: &str) -> Vec<f32> {
        self.f64(name).into_iter().map(|v| v as f32).collect()
    }

    fn index(&self, name: &str) -> Vec<usize> {
        self.f64(name).into_iter().map(|v| v as usize).collect()
    }
}

fn check(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance, "{what}[{i}]: {f} instead of {e} (tolerance {tolerance})");
    }
}

/// Losses of all steps, gradients of the first, weights after the last and test logits of the four reference runs.
#[test]
fn reference_trainings_are_reproduced_on_both_backends() {
    let Some(folder) = crate::common::fixtures().map(|f| f.join("golden/mlp_head")) else { return };
    let bytes = fs_err::read(folder.join("expected.safetensors")).expect("fixture");
    let golden = Golden { tensors: SafeTensors::deserialize(&bytes).expect("safetensors") };
    let json: Value =
        serde_json::from_str(&fs_err::read_to_string(folder.join("expected.json")).expect("fixture"))
            .expect("json");
    let (hidden, batch) =
        (json["hidden"].as_u64().expect("n") as usize, json["batch_size"].as_u64().expect("n"));
    let epochs = json["epochs"].as_u64().expect("n") as usize;
    let x = golden.f32("X");
    let dim = golden.tensors.tensor("X").expect("X").shape()[1];
    let y = golden.index("y");
    let ids: Vec<String> = (0..y.len()).map(|i| format!("c{i:04}")).collect();
    let embedding = Embedding::new("X_pca".into(), ids.clone(), dim, x);
    // Rows in the order of the reference; names ascend, so that TrainingData keeps it.
    let train_index = golden.index("train_index");
    let test_index = golden.index("test_index");
    let mut sorted = train_index.clone();
    sorted.sort_unstable();
    let row = |i: usize, role| SplitRow {
        cell_id: ids[i].clone(),
        repeat: 0,
        fold: 0,
        role,
        label: y[i].to_string(),
        class: y[i],
        group: String::new(),
    };
    let rows: Vec<SplitRow> = train_index
        .iter()
        .map(|&i| row(i, Role::Train))
        .chain(test_index.iter().map(|&i| row(i, Role::Test)))
        .collect();
    let members: Vec<&SplitRow> = rows.iter().collect();
    let data = TrainingData::of_fold(&embedding, &members).expect("data");
    let test = FeatureRows::test_of_fold(&embedding, &members).expect("test");
    let order = golden.index("order");
    let n = train_index.len();
    let epoch_order = |e: usize| -> Vec<usize> {
        order[e * n..(e + 1) * n]
            .iter()
            .map(|&at| sorted.binary_search(&train_index[at]).expect("training cell"))
            .collect()
    };
    for device in devices() {
        for (name, run) in json["runs"].as_object().expect("runs") {
            let at = |what: &str| format!("{name} on {}: {what}", device.info().backend);
            let noise = |what: &str| 20.0 * run["noise_float32_vs_float64"][what].as_f64().expect("noise");
            let kind = match name.as_str() {
                "scdrugmap_2logit_adamw" => LossKind::TwoLogit,
                "ce_2logit_adamw_lr1e-4" => LossKind::CrossEntropy,
                "paper_1logit_adam" | "bce1_posweight_sgd_momentum" => LossKind::Bce,
                other => panic!("unknown run {other}"),
            };
            let number = |key: &str| run[key].as_f64().unwrap_or(0.0);
            let adam = Adam { lr: number("lr"), weight_decay: number("weight_decay"), ..Adam::default() };
            let optimizer = match run["optimizer"].as_str().expect("optimizer") {
                "Adam" => Optimizer::Adam(adam),
                "AdamW" => Optimizer::AdamW(adam),
                "SGD" => Optimizer::Sgd(Sgd {
                    lr: number("lr"),
                    momentum: number("momentum"),
                    weight_decay: number("weight_decay"),
                }),
                other => panic!("unknown optimizer {other}"),
            };
            let mut objective = Objective::new(kind, 2);
            if let Some(weight) = run["pos_weight"].as_f64() {
                objective = objective.with_pos_weight(vec![weight as f32]);
            }
            let names = layer_names(&golden, name);
            let part =
                |stage: &str, layer: usize, what: &str| format!("{name}.{stage}.{}.{what}", names[layer]);
            let values: Vec<_> = (0..3)
                .map(|l| (golden.f32(&part("init", l, "weight")), golden.f32(&part("init", l, "bias"))))
                .collect();
            let widths = [dim, hidden, hidden, kind.outputs(2)];
            let mut network = Network::from_values(&device, &widths, &values).expect("network");

            let first = &epoch_order(0)[..batch as usize];
            let xb = device.upload(&[first.len(), dim], &data.train().rows.gather(first)).expect("upload");
            let labels: Vec<usize> = first.iter().map(|&c| data.train().class[c]).collect();
            let (_, gradients) = network
                .gradients(&xb, |logits| objective.evaluate(&device, logits, &labels))
                .expect("gradients");
            let wide = |t: &celldag_shaders::Tensor| -> Vec<f64> {
                t.read().expect("read").into_iter().map(f64::from).collect()
            };
            for (layer, (w, b)) in gradients.iter().enumerate() {
                check(
                    &at("weight gradient"),
                    &wide(w),
                    &golden.f64(&part("grad_step1", layer, "weight")),
                    noise("grad"),
                );
                check(
                    &at("bias gradient"),
                    &wide(b),
                    &golden.f64(&part("grad_step1", layer, "bias")),
                    noise("grad"),
                );
            }
            let settings = TrainSettings { epochs, batch_size: batch as usize, optimizer, patience: None };
            let trained = train(&device, &mut network, &data, &objective, &settings, epoch_order, |_| true)
                .expect("training");
            check(
                &at("losses"),
                &trained.batch_losses,
                &golden.f64(&format!("{name}.loss_per_step")),
                noise("loss"),
            );
            for (layer, (w, b)) in network.snapshot().iter().enumerate() {
                check(
                    &at("final weight"),
                    &wide(w),
                    &golden.f64(&part("final", layer, "weight")),
                    noise("final"),
                );
                check(
                    &at("final bias"),
                    &wide(b),
                    &golden.f64(&part("final", layer, "bias")),
                    noise("final"),
                );
            }
            let logits: Vec<f64> = network
                .logits(&device, &test.values)
                .expect("logits")
                .into_iter()
                .flatten()
                .map(f64::from)
                .collect();
            check(
                &at("test logits"),
                &logits,
                &golden.f64(&format!("{name}.test_logits")),
                noise("test_logits"),
            );
        }
    }
}

/// The parts of the tensors' names that stand for the three layers.
fn layer_names(golden: &Golden<'_>, run: &str) -> Vec<String> {
    let prefix = format!("{run}.init.");
    let mut names: Vec<String> = golden
        .tensors
        .names()
        .into_iter()
        .filter_map(|n| Some(n.strip_prefix(&prefix)?.strip_suffix(".weight")?.to_owned()))
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    names
}
