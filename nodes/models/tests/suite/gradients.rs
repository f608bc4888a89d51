//! The backward pass of a whole model: Geneformer with LoRA on query, key and value of every layer and a head of three
//! layers, against the gradients, losses and weights of PyTorch and peft (fixture geneformer-v1, arrays `ft.*`).

use std::collections::BTreeMap;

use crate::common::learning::Learning;
use crate::common::{Golden, devices, options};
use celldag_models::geneformer::{Checkpoint, Encoder};
use celldag_models::{Adapters, Lora, Options, Slot};
use celldag_shaders::Device;
use serde_json::json;

const HIDDEN: usize = 32;
const RANK: usize = 8;
/// The run has alpha 8 and rank 8.
const SCALE: f32 = 1.0;

#[test]
fn lora_and_head_learn_as_with_peft() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let readout = options(json!({"layer": -1, "pooling": "mean"}));
    for device in devices() {
        // A software driver takes half a minute for the whole run: one step shows every gradient.
        let runs: &[(usize, bool)] =
            if device.info().software { &[(1, false)] } else { &[(5, false), (5, true)] };
        for &(steps, recompute) in runs {
            let learning = Learning::new(&golden, &device);
            let cells = learning.cells(&golden.tokens());
            let encoder = Encoder::adapted(&checkpoint, &device, &readout, &learning.adapters()).unwrap();
            learning.agrees(&encoder, &cells, steps, recompute);
        }
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let device = Device::cpu(1).unwrap();
    let checkpoint = Checkpoint::find(&golden.checkpoint()).unwrap();
    let refused = |path: &str, a: [usize; 2], b: [usize; 2]| {
        let [a, b] = [a, b].map(|shape| Slot::new(device.zeros(&shape).unwrap()));
        let layers = BTreeMap::from([(path.to_owned(), Lora::new(a, b, SCALE))]);
        Encoder::adapted(&checkpoint, &device, &Options::default(), &Adapters::new(layers))
            .unwrap_err()
            .to_string()
    };
    let message = refused("bert.encoder.layer.7.attention.self.query", [RANK, HIDDEN], [HIDDEN, RANK]);
    assert!(
        message.contains("no linear layer called bert.encoder.layer.7.attention.self.query"),
        "{message}"
    );
    let message = refused("bert.encoder.layer.0.attention.self.query", [RANK, HIDDEN], [HIDDEN, 4]);
    assert!(message.contains("32 inputs and 32 outputs") && message.contains("[32, 4]"), "{message}");
}
