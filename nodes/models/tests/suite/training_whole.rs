//! Full fine-tuning: the layers of a Geneformer and a head, against PyTorch (`tests/python/make_full_tuning.py`).

use std::path::Path;

use crate::common::{Golden, assert_close, devices, embed, options};
use celldag_data::checkpoint::SafetensorsFile;
use celldag_models::training::{
    FineTuning, LabelledTokens, LossKind, Network, Objective, Optimizer, TunedLayer, TuningSettings,
};
use celldag_models::{Adapters, CellEncoder, CellTokens, InputDropout, LoadEncoder, cell_model};
use celldag_shaders::Device;
use celldag_shaders::ops::Adam;
use serde_json::json;

/// Steps of the reference.
const STEPS: usize = 3;

struct Whole {
    encoder: Box<dyn CellEncoder>,
    tuning: FineTuning,
    tokens: Vec<CellTokens>,
    class: Vec<usize>,
}

impl Whole {
    fn new(golden: &Golden, device: &Device, patterns: &[&str], recompute: bool) -> Self {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let adapters = Adapters::default().training(&patterns).unwrap();
        let options = options(json!({"layer": -1, "pooling": "mean"}));
        let checkpoint = golden.checkpoint();
        let load = LoadEncoder { checkpoint: &checkpoint, device, options: &options, adapters: &adapters };
        let encoder = cell_model("geneformer").unwrap().encoder(load).unwrap();
        let layers = adapters.trained().into_iter().map(|weight| TunedLayer::whole(weight).unwrap());
        let (mut widths, mut values) = (vec![encoder.info().dim], Vec::new());
        for layer in ["fc1", "fc2", "fc3"] {
            let bias = golden.f32s(&format!("ft.init.head.{layer}.bias"));
            widths.push(bias.len());
            values.push((golden.f32s(&format!("ft.init.head.{layer}.weight")), bias));
        }
        let head = Network::from_values(device, &widths, &values).unwrap();
        let settings = TuningSettings {
            optimizer: Optimizer::AdamW(Adam { lr: 1e-3, weight_decay: 0.05, eps: 1e-5, ..Adam::default() }),
            clip: None,
            parts: 1,
            dropout: 0.0,
            seed: 0,
            memory: None,
            recompute,
        };
        let objective = Objective::new(LossKind::Bce, 2);
        let layers = (layers.collect(), InputDropout::default());
        let tuning = FineTuning::new(device, layers, head, objective, settings);
        let all = golden.tokens();
        let cells = golden.i32s("ft.cell_index");
        let tokens = cells.iter().map(|&cell| all[usize::try_from(cell).unwrap()].clone()).collect();
        let class = golden.i64s("ft.label").iter().map(|&label| usize::try_from(label).unwrap()).collect();
        Self { encoder, tuning, tokens, class }
    }

    fn learn(&mut self) -> f64 {
        let keys: Vec<u32> = (0..self.tokens.len()).map(|cell| u32::try_from(cell).unwrap()).collect();
        let neighbourhoods = vec![1; keys.len()];
        let batch = LabelledTokens {
            tokens: &self.tokens,
            keys: &keys,
            class: &self.class,
            neighbourhoods: &neighbourhoods,
        };
        self.tuning.learn(self.encoder.as_ref(), batch, 1.0).unwrap().loss
    }
}

#[test]
fn all_weights_of_the_layers_learn_as_in_torch() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/full_tuning.safetensors");
    let expected = SafetensorsFile::open(&file).unwrap();
    let f32s = |name: &str| -> Vec<f32> {
        expected.read(name).unwrap().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
    };
    // Weights move by up to 3e-3. Where a ReLU is about to open, f32 and f64 differ by a part of a step.
    for device in devices() {
        // A software driver takes long for a run.
        let runs: &[bool] = if device.info().software { &[true] } else { &[false, true] };
        for &recompute in runs {
            let what = format!("{}, recompute {recompute}", device.info().backend);
            let mut whole = Whole::new(&golden, &device, &["*.encoder.layer.*"], recompute);
            let before = embed(whole.encoder.as_ref(), &whole.tokens);
            for (step, &want) in f32s("loss").iter().enumerate() {
                assert_close(
                    &[whole.learn() as f32],
                    &[want],
                    1e-5,
                    &format!("loss of step {step} on {what}"),
                );
            }
            let weights = whole.tuning.weights().unwrap();
            // Six linear layers and two normalisations, each with weight and bias.
            assert_eq!(weights.len(), 3 * 16);
            for (name, (_, values)) in &weights {
                let array = format!("after{STEPS}.{name}");
                assert_close(values, &f32s(&array), 1e-4, &format!("{array} on {what}"));
            }
            for (at, (weight, bias)) in whole.tuning.head().values().unwrap().iter().enumerate() {
                for (part, values) in [("weight", weight), ("bias", bias)] {
                    let array = format!("after{STEPS}.head.fc{}.{part}", at + 1);
                    assert_close(values, &f32s(&array), 1e-4, &format!("{array} on {what}"));
                }
            }
            assert!(whole.tuning.adapters().unwrap().is_empty());
            // What was learnt is in the vectors, and not only in the head.
            let after = embed(whole.encoder.as_ref(), &whole.tokens);
            let change = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(change > 1e-2, "vectors change by {change} only");
        }
    }
}

/// A whole model, tables included: every tensor moves.
#[test]
fn every_weight_of_the_model_can_learn() {
    let Some(golden) = Golden::open("geneformer-v1") else { return };
    let device = Device::cpu(2).unwrap();
    let mut whole = Whole::new(&golden, &device, &["*"], false);
    let before = whole.tuning.weights().unwrap();
    assert!(before.contains_key("bert.embeddings.word_embeddings.weight"));
    whole.learn();
    let after = whole.tuning.weights().unwrap();
    for (name, (_, values)) in &before {
        assert_ne!(&after[name].1, values, "{name} does not learn");
    }
}
