//! Checkpoints in several files.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{CheckpointError, Weights, find_weights, weight_files};

use crate::checkpoints::files::{own, refused};

/// A copy of the checkpoint in two files, with another index.
fn copy(folder: &Path, index: &str) -> PathBuf {
    for part in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        fs_err::copy(own("sharded").join(part), folder.join(part)).unwrap();
    }
    let path = folder.join("model.safetensors.index.json");
    let index = index
        .replace("ONE", "model-00001-of-00002.safetensors")
        .replace("TWO", "model-00002-of-00002.safetensors");
    fs_err::write(&path, index).unwrap();
    path
}

fn why(index: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    refused(&copy(folder.path(), index))
}

#[test]
fn an_index_stands_for_its_files() {
    let index = find_weights(&own("sharded")).unwrap();
    let weights = Weights::open(&[&index]).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(weights.take("a", &[2, 2]).unwrap(), [1.0; 4]);
    let files = weight_files(&index).unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(files[0], index);
    assert_eq!(weight_files(&files[1]).unwrap(), [files[1].clone()]);
    assert_eq!(find_weights(&own("")), None);
}

#[test]
fn index_and_files_must_agree() {
    let error = why(r#"{"weight_map": {"a": "ONE", "c": "TWO"}}"#);
    assert!(error.contains("`b`") && error.contains("not listed"), "{error}");
    let error = why(r#"{"weight_map": {"a": "ONE", "b": "ONE", "c": "TWO", "d": "TWO"}}"#);
    assert!(error.contains("1 tensors are not in") && error.contains("`d`"), "{error}");
    let error = why(r#"{"weight_map": {"a": "ONE", "b": "TWO", "c": "TWO"}}"#);
    assert!(error.contains("`b`"), "{error}");
    let error = why(
        r#"{"weight_map": {"a": "ONE", "b": "ONE", "c": "TWO", "x": "three.safetensors", "y": "four.bin"}}"#,
    );
    assert!(error.contains("missing: `four.bin`, `three.safetensors`"), "{error}");
    let error = why(r#"{"weight_map": {"a": "ONE", "b": "ONE", "a": "ONE", "c": "TWO"}}"#);
    assert!(error.contains("`a` occurs twice"), "{error}");
    assert!(why(r#"{"weights": {}}"#).contains("weight_map"));
    assert!(why("").contains("index"));
}

#[test]
fn an_index_stays_in_its_folder() {
    for file in [
        "../x.safetensors",
        "/etc/passwd",
        "a/b.bin",
        "..",
        ".",
        "",
        "C:x",
        "a\\\\b",
        ".hidden",
        "n\\u0000.bin",
    ] {
        let error = why(&format!(r#"{{"weight_map": {{"a": "{file}"}}}}"#));
        assert!(error.contains("not beside it"), "{file}: {error}");
    }
    // An index of an index could lead in circles.
    let error = why(r#"{"weight_map": {"a": "model.safetensors.index.json"}}"#);
    assert!(error.contains("not beside it"), "{error}");
}

#[test]
fn files_that_repeat_a_tensor_are_refused() {
    let files = weight_files(&own("sharded/model.safetensors.index.json")).unwrap();
    let error = Weights::open(&[&files[1], &files[0]]).unwrap_err();
    assert!(matches!(error, CheckpointError::Duplicate { .. }), "{error}");
}
