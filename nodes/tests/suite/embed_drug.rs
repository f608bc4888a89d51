//! The kind `embed-drug` on the reference drugs: batches, keys, facts.

use std::path::Path;

use crate::common::fixtures;
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, Kind, Params, Summary};
use celldag_nodes::embed::EmbedDrug;
use serde_json::{Map, Value, json};

fn with(values: &Value) -> Map<String, Value> {
    values.as_object().cloned().unwrap_or_default()
}

fn embed(golden: &Path, options: &Value) -> (Summary, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (drugs, checkpoint) = (golden.join("smiles.csv"), golden.join("checkpoint"));
    let inputs = [("drugs", "", drugs.as_path()), ("checkpoint", "", checkpoint.as_path())];
    let (said, outputs) = run_alone(&EmbedDrug, with(options), &inputs, folder.path(), "cpu").unwrap();
    (said, fs_err::read(&outputs["embedding"]).unwrap())
}

#[test]
fn the_bytes_are_the_same_for_every_batch_size() {
    let Some(fixtures) = fixtures() else { return };
    for (name, model) in [("chemberta_77m", "chemberta"), ("molformer", "molformer")] {
        let golden = fixtures.join("golden").join(name);
        let (said, whole) = embed(&golden, &json!({"model": model}));
        let (_, single) = embed(&golden, &json!({"model": model, "batch_tokens": 1}));
        assert!(whole == single, "{name}");
        assert_eq!(said.facts["drugs"], json!(24));
        assert_eq!(said.facts["drugs_without_vector"], json!(0));
        assert_eq!(said.facts["readout"]["layer"], json!(-1));
        assert_eq!(said.execution["backend"], json!("cpu"));
        assert!(said.warnings.iter().any(|warning| warning.contains("were cut")), "{:?}", said.warnings);
    }
}

#[test]
fn the_files_of_the_checkpoint_are_in_the_key_and_no_others() {
    let Some(fixtures) = fixtures() else { return };
    let files = |checkpoint: &str, model: &str| -> Vec<String> {
        let params = Params(with(&json!({"model": model})));
        let path = fixtures.join("golden").join(checkpoint);
        let files = EmbedDrug.input_files("checkpoint", &path, &params).unwrap().unwrap();
        files.iter().map(|file| file.display().to_string()).collect()
    };
    assert_eq!(
        files("chemberta_77m/checkpoint", "chemberta"),
        [
            "config.json",
            "merges.txt",
            "pytorch_model.bin",
            "special_tokens_map.json",
            "tokenizer_config.json",
            "vocab.json"
        ]
    );
    assert_eq!(
        files("molformer/checkpoint", "molformer"),
        ["config.json", "model.safetensors", "vocab.json"]
    );
}

#[test]
fn a_table_of_nothing_is_a_data_error() {
    let Some(fixtures) = fixtures() else { return };
    let checkpoint = fixtures.join("golden/molformer/checkpoint");
    let folder = tempfile::tempdir().unwrap();
    let drugs = folder.path().join("drugs.csv");
    fs_err::write(&drugs, "id,smiles\na,\nb,XX\n").unwrap();
    let inputs = [("drugs", "", drugs.as_path()), ("checkpoint", "", checkpoint.as_path())];
    let error = run_alone(&EmbedDrug, with(&json!({"model": "molformer"})), &inputs, folder.path(), "cpu")
        .unwrap_err();
    assert_eq!(error.cause, FailureCause::Data);
    assert!(error.to_string().contains("none of the 2 rows"), "{error}");
}

#[test]
fn options_of_another_model_are_refused_before_anything_runs() {
    let findings = |values: Value| EmbedDrug.check(&Params(with(&values)));
    assert!(findings(json!({"model": "chemberta", "tokenizer": "regex"})).is_empty());
    let found = findings(json!({"model": "molformer", "tokenizer": "regex"}));
    assert_eq!(found[0].0, "tokenizer");
}
