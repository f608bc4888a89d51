//! `pipelines/pretrain_mini.yaml`: a model is trained, used by the quickstart, and not trained again.

use serde_json::Value;

use crate::sandbox::{Sandbox, borrowed, quickstart, repository};

#[test]
fn a_model_is_trained_and_the_quickstart_runs_on_it() {
    let sandbox = Sandbox::new();
    let pipeline = repository().join("pipelines/pretrain_mini.yaml");
    let args = [pipeline.to_str().expect("path"), "--profile", "smoke", "--out", ".", "--cache", "store"];
    assert_eq!(sandbox.computed(&args).len(), 2, "qc and pretrain");
    let history = fs_err::read(sandbox.join("pretrain_mini/history.json")).expect("history.json");
    let history: Value = serde_json::from_slice(&history).expect("JSON");
    let losses = history["epochs"].as_array().expect("epochs");
    let loss = |epoch: usize| losses[epoch]["validation_loss"].as_f64().expect("loss");
    assert!(loss(1) < loss(0), "{losses:?}");
    let folder = sandbox.join("pretrain_mini/checkpoint");
    let card = fs_err::read_to_string(folder.join("README.md")).expect("card");
    let repository = repository();
    for path in [sandbox.path(), repository.as_path()] {
        assert!(!card.contains(path.to_str().expect("path")), "the card names a machine:\n{card}");
    }
    assert!(card.contains("| pbmc68k_700.h5ad | 700 |"), "{card}");

    let inspected = sandbox.ok(&["models", "inspect", folder.to_str().expect("path")]);
    assert!(inspected.stdout.contains("geneformer"), "{}", inspected.stdout);
    let mut all = quickstart(&sandbox);
    all.extend(["--set".to_owned(), format!("checkpoint={}", folder.display())]);
    assert_eq!(sandbox.computed(&borrowed(&all)).len(), 8);
    assert!(sandbox.computed(&args).is_empty(), "a rerun trains nothing");
}
