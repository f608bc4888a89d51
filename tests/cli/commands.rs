//! Commands that compute nothing: help, nodes, schema, check, graph, devices, cache, runs.

use serde_json::Value;

use crate::sandbox::{Sandbox, repository};

#[test]
fn help_teaches() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(sandbox.ok(&["--help"]).stdout);
    for command in [
        "run",
        "plan",
        "check",
        "graph",
        "step",
        "why",
        "provenance",
        "embed",
        "embed-drug",
        "cache",
        "runs",
        "report",
        "serve",
    ] {
        let help = sandbox.ok(&[command, "--help"]).stdout;
        assert!(help.lines().count() > 5, "{command}: {help}");
    }
}

#[test]
fn every_kind_explains_itself() {
    let sandbox = Sandbox::new();
    let list: Value = serde_json::from_str(&sandbox.ok(&["nodes", "--json"]).stdout).expect("JSON");
    let kinds: Vec<&str> =
        list.as_array().expect("list").iter().map(|k| k["kind"].as_str().expect("kind")).collect();
    for kind in [
        "qc",
        "normalize",
        "hvg",
        "pca",
        "tokenize",
        "embed",
        "embed-drug",
        "embed-genes",
        "split",
        "mlp-head",
        "linear-head",
        "predict",
        "pretrain",
        "prompt-classify",
        "evaluate",
        "evaluate-embedding",
        "evaluate-perturbation",
        "evaluate-regression",
        "report",
    ] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    for kind in kinds {
        let text = sandbox.ok(&["nodes", kind]).stdout;
        assert!(text.contains("\nin\n") && text.contains("\nout\n") && text.contains("\nwith\n"), "{text}");
    }
    let wrong = sandbox.run(&["nodes", "embedd"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("embed"), "{}", wrong.stderr);
}

#[test]
fn the_schema_accepts_the_pipelines_that_ship() {
    let sandbox = Sandbox::new();
    let schema: Value = serde_json::from_str(&sandbox.ok(&["schema"]).stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid JSON Schema");
    for entry in fs_err::read_dir(repository().join("pipelines")).expect("pipelines") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let text = fs_err::read_to_string(&path).expect("pipeline");
        let document: Value = serde_yaml::from_str(&text).expect("YAML");
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
    let wrong = serde_json::json!({ "celldag": 1, "nodes": { "a": { "uses": "qc", "wiht": {} } } });
    assert!(!validator.is_valid(&wrong), "an unknown key must not pass");
}

#[test]
fn a_pipeline_can_be_checked_and_drawn() {
    let sandbox = Sandbox::new();
    let pipeline = repository().join("pipelines/quickstart.yaml");
    let pipeline = pipeline.to_str().expect("path");
    let checked = sandbox.ok(&["check", pipeline]).stdout;
    assert!(checked.contains("8 nodes, 8 jobs, 4 outputs: ok"), "{checked}");
    let svg = sandbox.ok(&["graph", pipeline]).stdout;
    assert!(svg.starts_with("<svg") && svg.contains("mlp-head"), "{svg}");
    insta::assert_snapshot!(sandbox.ok(&["graph", pipeline, "--format", "mermaid"]).stdout);
    assert!(sandbox.ok(&["graph", pipeline, "--format", "dot"]).stdout.starts_with("digraph"));
}

#[test]
fn devices_are_listed_and_a_software_driver_is_not_the_default() {
    let sandbox = Sandbox::new();
    let list: Value = serde_json::from_str(&sandbox.ok(&["devices", "--json"]).stdout).expect("JSON");
    let list = list.as_array().expect("list");
    assert_eq!(list[0]["device"], "cpu");
    let hardware = list.iter().skip(1).any(|d| d["software"] == false);
    let said = sandbox.ok(&["devices"]).stderr;
    assert_eq!(said.contains("auto takes the CPU backend"), !hardware, "{said}");
}

#[test]
fn precision_and_memory_limit_are_checked_before_anything_runs() {
    let sandbox = Sandbox::new();
    let pipeline = repository().join("pipelines/quickstart.yaml");
    let pipeline = pipeline.to_str().expect("path");
    let unknown = sandbox.run(&["plan", pipeline, "--cache", "store", "--precision", "f64"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("f32x3"), "{}", unknown.stderr);
    let vague = sandbox.run(&["run", pipeline, "--cache", "store", "--memory-limit", "much"]);
    assert_eq!(vague.code, 2, "{}", vague.stderr);
    let run = ["run", pipeline, "--cache", "store", "--device", "cpu", "--precision", "f16"];
    let refused = sandbox.run(&run);
    assert!(refused.code == 4 && refused.stderr.contains("--precision f32"), "{}", refused.stderr);
    // The precision belongs to the keys: a plan knows it.
    let reasons = |precision: &str| {
        sandbox.ok(&["plan", pipeline, "--cache", "store", "--precision", precision, "--json"]).stdout
    };
    assert!(reasons("f32").contains("embed") && reasons("f16").contains("embed"));
}

#[test]
fn an_empty_store_has_nothing_to_tell() {
    let sandbox = Sandbox::new();
    let nowhere = sandbox.run(&["cache", "stats", "--cache", "store"]);
    assert_eq!(nowhere.code, 2, "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("--cache") && !sandbox.join("store").exists(), "{}", nowhere.stderr);
    let pipeline = repository().join("pipelines/quickstart.yaml");
    sandbox.ok(&["plan", pipeline.to_str().expect("path"), "--cache", "store"]);
    let stats = sandbox.ok(&["cache", "stats", "--cache", "store"]).stdout;
    assert!(stats.contains('0'), "{stats}");
    assert!(sandbox.ok(&["cache", "verify", "--cache", "store"]).stdout.contains("0 damaged"));
    sandbox.ok(&["cache", "gc", "--dry-run", "--cache", "store"]);
    sandbox.ok(&["runs", "--cache", "store"]);
    let missing = sandbox.run(&["runs", "show", "last", "--cache", "store"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
}
