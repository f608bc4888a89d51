//! PEFT folders with full weights (`modules_to_save`) under `embed`: what we write and what Hugging Face peft writes. With
//! `CELLDAG_PYTHON`, a Python that has peft, both tools give the same vectors.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::common::lora::{Bench, mini, peft_round_trip, vectors};
use celldag_data::checkpoint::Weights;
use celldag_models::{PeftAdapter, PeftLayer, Tensors};
use serde_json::json;

const WIDTH: usize = 64;
const RANK: usize = 2;

/// Vectors of `embed` with an adapter. Fails unless peft gives the same, where there is a Python that has it.
fn embedded(bench: &Bench, name: &str, adapter: &Path) -> Vec<f32> {
    let (_, outputs) = bench.embed(name, Some(adapter), json!({"layer": -1})).expect("vectors");
    let checkpoint = mini();
    peft_round_trip(&[&checkpoint, &bench.tokens, adapter, &outputs["embedding"]].map(Path::as_os_str));
    vectors(&outputs)
}

fn plain(bench: &Bench) -> Vec<f32> {
    vectors(&bench.embed("plain", None, json!({"layer": -1})).expect("vectors").1)
}

fn change(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Tensors of the checkpoint, changed.
fn changed(names: &[&str]) -> Tensors {
    let weights = Weights::open(&[mini().join("model.safetensors")]).expect("weights");
    let one = |name: &&str| {
        let (shape, values) = weights.take_any(name).expect("tensor");
        let values = values.iter().enumerate().map(|(at, value)| value + ((at * 7) % 13) as f32 * 0.01);
        ((*name).to_owned(), (shape, values.collect()))
    };
    names.iter().map(one).collect()
}

fn layer() -> PeftLayer {
    let values = |count: usize| (0..count).map(|at| ((at * 5) % 11) as f32 * 0.02 - 0.1).collect();
    let (a, b) = (values(RANK * WIDTH), values(WIDTH * RANK));
    PeftLayer { a, b, inputs: WIDTH, outputs: WIDTH, rank: RANK, scale: 2.0 }
}

#[test]
fn full_weights_of_ours_are_read_by_embed_and_by_peft() {
    let bench = Bench::new();
    let saved = changed(&[
        "bert.embeddings.word_embeddings.weight",
        "bert.embeddings.token_type_embeddings.weight",
        "bert.encoder.layer.0.attention.self.key.weight",
        "bert.encoder.layer.0.attention.self.key.bias",
        "bert.encoder.layer.2.output.LayerNorm.weight",
        "bert.encoder.layer.2.output.LayerNorm.bias",
    ]);
    let both = PeftAdapter {
        layers: BTreeMap::from([("bert.encoder.layer.1.attention.self.query".to_owned(), layer())]),
        saved,
        rank: RANK,
        alpha: 4.0,
        dropout: 0.0,
        base_model: None,
        fan_in_fan_out: false,
    };
    let full = PeftAdapter { layers: BTreeMap::new(), ..both.clone() };
    let mut seen = vec![plain(&bench)];
    for (name, adapter) in [("both", both), ("full", full)] {
        let folder = bench.root.path().join(format!("{name}.adapter"));
        adapter.write(&folder).expect("folder");
        let vectors = embedded(&bench, name, &folder);
        let changes: Vec<f32> = seen.iter().map(|other| change(&vectors, other)).collect();
        assert!(changes.iter().all(|change| *change > 1e-4), "{name}: {changes:?}");
        seen.push(vectors);
    }
}

#[test]
fn full_weights_of_peft_are_read_by_embed() {
    let bench = Bench::new();
    let (checkpoint, folder) = (mini(), bench.root.path().join("theirs"));
    if !peft_round_trip(&[OsStr::new("make"), checkpoint.as_os_str(), folder.as_os_str()]) {
        println!("SKIP: no folder of peft can be made without it");
        return;
    }
    let theirs = PeftAdapter::read(&folder).expect("adapter");
    assert!(!theirs.layers.is_empty() && !theirs.saved.is_empty(), "{theirs:?}");
    assert!(change(&embedded(&bench, "theirs.vectors", &folder), &plain(&bench)) > 1e-4);
}
