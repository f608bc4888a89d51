//! What made a file, runs side by side, traces, crates, estimates.

use serde_json::Value;

use crate::sandbox::{Sandbox, repository};

const PIPELINE: &str = r#"
celldag: 1
name: small
params: {genes: 100}
nodes:
  qc:        {uses: qc, in: {cells: cells.h5ad}, with: {min_genes: "${genes}", min_cells: 3}}
  normalize: {uses: normalize, in: {cells: qc.cells}, with: {target_sum: 1e4}}
outputs: {"out/normalized.h5ad": normalize.cells}
"#;

fn small() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", PIPELINE);
    fs_err::copy(repository().join("pipelines/data/pbmc68k_700.h5ad"), sandbox.join("cells.h5ad"))
        .expect("cells");
    sandbox
}

fn run(sandbox: &Sandbox, genes: &str) {
    let set = format!("genes={genes}");
    sandbox.ok(&["run", "small.yaml", "--device", "cpu", "--set", &set]);
}

#[test]
fn a_file_tells_where_it_comes_from() {
    let sandbox = small();
    run(&sandbox, "100");
    fs_err::copy(sandbox.join("out/normalized.h5ad"), sandbox.join("mailed.h5ad")).expect("copy");
    let told = sandbox.ok(&["provenance", "mailed.h5ad"]).stdout;
    for line in [
        "made by   normalize.cells",
        "normalize  normalize (epoch ",
        "with      target_sum = 10000.0",
        "qc  qc (epoch ",
        "with      min_genes = 100",
        "file cells.h5ad",
        "celldag provenance export",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let json: Value =
        serde_json::from_str(&sandbox.ok(&["provenance", "mailed.h5ad", "--json"]).stdout).expect("JSON");
    assert_eq!(json["works"].as_array().expect("works").len(), 2);
    let digest = json["digest"].as_str().expect("digest");
    assert!(sandbox.ok(&["provenance", digest, "--depth", "0"]).stdout.contains("--depth shows more"));

    let unknown = sandbox.run(&["provenance", "small.yaml"]);
    assert_eq!(unknown.code, 3);
    assert!(
        unknown.stderr.contains("has made small.yaml") && unknown.stderr.contains("--cache DIR"),
        "{}",
        unknown.stderr
    );
    let given = sandbox.run(&["provenance", "cells.h5ad"]);
    assert!(given.code == 3 && given.stderr.contains("read it as `cells` of qc"), "{}", given.stderr);
    sandbox.write("out/normalized.h5ad", "edited");
    let edited = sandbox.run(&["provenance", "out/normalized.h5ad"]);
    assert!(edited.code == 3 && edited.stderr.contains("it was changed since"), "{}", edited.stderr);
    assert_eq!(sandbox.run(&["provenance", "nothing.h5ad"]).code, 3);
}

#[test]
fn two_runs_are_told_apart_and_why() {
    let sandbox = small();
    run(&sandbox, "100");
    let plan = sandbox.ok(&["plan", "small.yaml", "--set", "genes=300"]);
    assert!(
        plan.stderr.contains("what runs: about") && plan.stderr.contains("what may run: about"),
        "{}",
        plan.stderr
    );
    run(&sandbox, "300");
    let runs: Value = serde_json::from_str(&sandbox.ok(&["runs", "--json"]).stdout).expect("JSON");
    let first = runs[1]["id"].as_str().expect("id").to_owned();
    let diff = sandbox.ok(&["runs", "diff", &first, "last"]).stdout;
    for told in [
        "no number of a report differs",
        "parameter min_genes changed 100 → 300",
        "normalized.h5ad has other content",
    ] {
        assert!(diff.contains(told), "{told} in {diff}");
    }
    let why = sandbox.ok(&["why", "normalize"]).stdout;
    assert!(why.contains("input cells changed: qc.cells (BLAKE3 "), "{why}");
    let why = sandbox.ok(&["why", "qc"]).stdout;
    assert!(why.contains("`--set`, a profile or a table"), "{why}");

    sandbox.ok(&["runs", "trace", "last", "-o", "trace.json"]);
    let trace: Value =
        serde_json::from_slice(&fs_err::read(sandbox.join("trace.json")).expect("trace")).expect("JSON");
    let spans =
        trace["traceEvents"].as_array().expect("events").iter().filter(|event| event["ph"] == "X").count();
    assert_eq!(spans, 2);

    // A run whose process is gone: its header still says running.
    let folder = sandbox.join(".celldag/runs").join(&first);
    let header = fs_err::read_to_string(folder.join("run.json")).expect("header");
    fs_err::write(folder.join("run.json"), header.replace(r#""status": "ok""#, r#""status": "running""#))
        .expect("header");
    let listed = sandbox.ok(&["runs"]).stdout;
    assert!(listed.contains("killed"), "{listed}");
    assert!(sandbox.ok(&["runs", "show", &first]).stdout.contains("it was killed"));
}

#[test]
fn a_run_is_exported() {
    let sandbox = small();
    run(&sandbox, "100");
    sandbox.ok(&["provenance", "export", "last", "-o", "crate", "--license", "CC0-1.0"]);
    let metadata = fs_err::read_to_string(sandbox.join("crate/ro-crate-metadata.json")).expect("metadata");
    assert!(metadata.contains("https://w3id.org/ro/wfrun/provenance/0.5"));
    assert!(!metadata.contains(sandbox.path().to_str().expect("path")), "{metadata}");
    for file in ["small.yaml", "out/normalized.h5ad"] {
        assert_eq!(
            fs_err::read(sandbox.join("crate").join(file)).expect("file"),
            fs_err::read(sandbox.join(file)).expect("file")
        );
    }
    let again = sandbox.run(&["provenance", "export", "last", "-o", "crate"]);
    assert!(again.code == 2 && again.stderr.contains("is not empty"), "{}", again.stderr);
    sandbox.ok(&["provenance", "export", "--format", "prov", "-o", "run.json"]);
    let prov: Value =
        serde_json::from_slice(&fs_err::read(sandbox.join("run.json")).expect("file")).expect("JSON");
    assert_eq!(prov["activity"].as_object().expect("activities").len(), 2);
}
