//! The chain as single steps, as a workflow manager runs it: plain files in, plain files out, one cache.

use serde_json::Value;

use crate::sandbox::{Finished, Sandbox, quickstart_data};

fn step(sandbox: &Sandbox, kind: &str, args: &[&str]) -> Finished {
    let mut all = vec!["step", kind, "--json", "--device", "cpu"];
    all.extend(args);
    sandbox.ok(&all)
}

#[test]
fn folds_are_gathered_by_their_labels() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = quickstart_data();
    step(&sandbox, "qc", &["--in", &cells, "--with", "min_genes=100", "--out", "cells=qc.h5ad"]);
    step(
        &sandbox,
        "tokenize",
        &[
            "--in",
            "cells=qc.h5ad",
            "--in",
            &checkpoint,
            "--with",
            "model=geneformer",
            "--out",
            "tokens=t.safetensors",
        ],
    );
    step(
        &sandbox,
        "embed",
        &["--in", "tokens=t.safetensors", "--in", &checkpoint, "--out", "embedding=e.h5ad"],
    );
    step(
        &sandbox,
        "split",
        &["--in", "cells=qc.h5ad", "--with", "label=myeloid", "--with", "folds=2", "--out", "split=s.csv"],
    );
    for fold in ["0", "1"] {
        let (with, out) = (format!("fold={fold}"), format!("predictions=p{fold}.csv"));
        let args = [
            "--in",
            "embedding=e.h5ad",
            "--in",
            "split=s.csv",
            "--with",
            &with,
            "--with",
            "hidden=[8]",
            "--with",
            "epochs=3",
            "--out",
            &out,
        ];
        step(&sandbox, "mlp-head", &args);
    }
    let (first, second) = ("predictions:fold=0=p0.csv", "predictions:fold=1=p1.csv");
    let run = step(&sandbox, "evaluate", &["--in", first, "--in", second, "--out", "report=r.json"]);
    assert_eq!(run.events("finished").len(), 1);
    let report: Value =
        serde_json::from_slice(&fs_err::read(sandbox.join("r.json")).expect("r.json")).expect("JSON");
    let models: Vec<&String> = report["metrics"].as_object().expect("metrics").keys().collect();
    assert!(!models.iter().any(|m| m.contains("fold")), "two folds are one model: {models:?}");

    let again = step(&sandbox, "evaluate", &["--in", second, "--in", first, "--out", "report=again.json"]);
    assert!(again.events("finished").is_empty(), "the order of arguments does not matter");
    assert_eq!(
        fs_err::read(sandbox.join("r.json")).expect("r.json"),
        fs_err::read(sandbox.join("again.json")).expect("again.json")
    );
}

#[test]
fn an_output_never_replaces_an_input() {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let original = cells.trim_start_matches("cells=");
    fs_err::copy(original, sandbox.join("cells.h5ad")).expect("a copy");
    let finished = sandbox.run(&["step", "qc", "--in", "cells=cells.h5ad", "--out", "cells=cells.h5ad"]);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    let before = fs_err::read(original).expect("cells");
    assert!(fs_err::read(sandbox.join("cells.h5ad")).expect("cells") == before, "the input was replaced");
}
