//! Adapters of every cell model: the layers that training takes by default are there, and every layer that a model lists
//! takes an adapter which changes the embedding (in the published scripts, adapters of `out_proj` do nothing).

use std::collections::{BTreeMap, BTreeSet};

use crate::common::specimen::{Specimen, embedding};
use celldag_models::{Adapters, CellTokens, Lora, Slot, cell_models, is_target};
use celldag_shaders::Device;

const RANK: usize = 2;
/// Part of the largest value by which an embedding must at least change.
const CHANGE: f32 = 1e-5;

/// An adapter of no meaning that is zero nowhere.
fn lora(device: &Device, inputs: usize, outputs: usize) -> Lora {
    let slot = |shape: [usize; 2]| {
        let values = (0..shape[0] * shape[1]).map(|i| ((i * 37 % 101) as f32 - 50.5) / 100.0);
        Slot::new(device.upload(&shape, &values.collect::<Vec<f32>>()).unwrap())
    };
    Lora::new(slot([RANK, inputs]), slot([outputs, RANK]), 1.0)
}

struct Loaded {
    specimen: Specimen,
    device: Device,
    tokens: Vec<CellTokens>,
    layers: Vec<(String, usize, usize)>,
    /// Without adapters.
    plain: Vec<f32>,
}

impl Loaded {
    fn all() -> impl Iterator<Item = Self> {
        Specimen::all().into_iter().map(|specimen| {
            let device = Device::cpu(2).unwrap();
            let tokens = specimen.tokens(specimen.tokenizer().unwrap().as_ref());
            let adapters = Adapters::default();
            assert!(adapters.layers_seen().is_empty());
            let encoder = specimen.encoder(&device, &adapters).unwrap();
            let plain = embedding(encoder.as_ref(), &tokens).unwrap();
            Self { layers: adapters.layers_seen(), specimen, device, tokens, plain }
        })
    }

    /// By how much the largest value of the embedding changes with adapters on these layers, relative to the largest.
    fn change(&self, layers: &[&(String, usize, usize)]) -> f32 {
        let adapter = |(name, inputs, outputs): &(String, usize, usize)| {
            (name.clone(), lora(&self.device, *inputs, *outputs))
        };
        let adapters = Adapters::new(layers.iter().map(|layer| adapter(layer)).collect::<BTreeMap<_, _>>());
        let encoder = self.specimen.encoder(&self.device, &adapters).unwrap();
        let changed = embedding(encoder.as_ref(), &self.tokens).unwrap();
        assert!(changed.iter().all(|value| value.is_finite()));
        let largest = self.plain.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let differences = self.plain.iter().zip(&changed).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max) / largest
    }
}

#[test]
fn the_layers_that_are_trained_by_default_exist_and_change_the_embedding() {
    for loaded in Loaded::all() {
        let model = loaded.specimen.model;
        assert!(!model.lora_targets().is_empty(), "{}", model.name());
        for target in model.lora_targets() {
            let layers: Vec<_> = loaded.layers.iter().filter(|(name, ..)| is_target(name, target)).collect();
            assert!(!layers.is_empty(), "{}: no layer is called {target}", loaded.specimen.name());
            let change = loaded.change(&layers);
            println!("{} {target}: {} layers change the embedding by {change:e}", model.name(), layers.len());
            assert!(change > CHANGE, "{}: {target} does nothing", loaded.specimen.name());
        }
    }
}

#[test]
fn every_layer_that_is_listed_takes_an_adapter() {
    for loaded in Loaded::all() {
        let names: BTreeSet<&str> = loaded.layers.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names.len(), loaded.layers.len());
        for layer in &loaded.layers {
            let change = loaded.change(&[layer]);
            assert!(
                change > CHANGE,
                "{}: {layer:?} changes the embedding by {change:e}",
                loaded.specimen.name()
            );
        }
    }
}

#[test]
fn every_model_has_targets() {
    let targets = |name: &str| celldag_models::cell_model(name).unwrap().lora_targets();
    assert!(cell_models().iter().all(|model| !model.lora_targets().is_empty()));
    assert_eq!(targets("tgpt"), ["c_attn"]);
    assert_eq!(targets("geneformer"), ["query", "key", "value"]);
    for performer in ["scbert", "celllm"] {
        assert_eq!(targets(performer), ["to_q", "to_k", "to_v"]);
    }
    for packed in ["scgpt", "uce", "scfoundation"] {
        assert_eq!(targets(packed), ["out_proj"]);
    }
}
