//! What is generated from the registry of kinds and kept in docs/ is what the program says today.
//!
//! `CELLDAG_WRITE_DOCS=1 cargo test -p celldag --test cli generated` writes both files.

use std::path::Path;

use celldag_engine::Registry;
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, repository};

/// The kinds of the program.
fn registry() -> Registry {
    let mut registry = Registry::new();
    celldag_nodes::register(&mut registry);
    celldag_report::register(&mut registry);
    registry
}

fn is_current(file: &Path, text: &str) {
    if std::env::var_os("CELLDAG_WRITE_DOCS").is_some() {
        fs_err::write(file, text).expect("written");
    }
    let kept = fs_err::read_to_string(file).unwrap_or_default();
    assert!(
        kept == text,
        "{} is stale: CELLDAG_WRITE_DOCS=1 cargo test -p celldag --test cli generated",
        file.display()
    );
}

/// JSON with a line for each node kind: small, and a change shows which kind it is about.
fn lines(value: &Value, depth: usize) -> String {
    const DEEPEST: usize = 4;
    let pad = " ".repeat(depth + 1);
    let end = " ".repeat(depth);
    let inner = |value: &Value| lines(value, depth + 1);
    match value {
        Value::Object(map) if depth < DEEPEST && !map.is_empty() => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{pad}{}: {}", json!(key), inner(value))).collect();
            format!("{{\n{}\n{end}}}", entries.join(",\n"))
        }
        Value::Array(items) if depth < DEEPEST && !items.is_empty() => {
            let items: Vec<String> = items.iter().map(|value| format!("{pad}{}", inner(value))).collect();
            format!("[\n{}\n{end}]", items.join(",\n"))
        }
        value => value.to_string(),
    }
}

#[test]
fn the_reference_of_nodes_is_generated() {
    is_current(
        &repository().join("docs/nodes.md"),
        &celldag_engine::schema::reference::reference(&registry()),
    );
}

#[test]
fn the_schema_is_generated_and_printed() {
    let schema = celldag_engine::schema(&registry());
    let text = lines(&schema, 0) + "\n";
    is_current(&repository().join("docs/pipeline.schema.json"), &text);
    let printed: Value = serde_json::from_str(&Sandbox::new().ok(&["schema"]).stdout).expect("JSON");
    assert_eq!(printed, schema);
}

/// A pipeline of one `embed` node with changes.
fn embed(change: impl FnOnce(&mut Value)) -> Value {
    let mut node = json!({
        "uses": "embed",
        "in": {"tokens": "tokens.tokens", "checkpoint": "models/x"},
        "resources": {"ram": "8 GiB", "gpu": 1},
        "retries": {"transient": 1, "out_of_memory": {"set": {"batch_tokens": "half"}}},
    });
    change(&mut node);
    json!({"celldag": 1, "nodes": {"embedding": node}})
}

#[test]
fn the_schema_knows_every_kind() {
    let schema = celldag_engine::schema(&registry());
    let validator = jsonschema::draft202012::new(&schema).expect("a valid schema");
    let right = embed(|_| {});
    let errors: Vec<String> =
        validator.iter_errors(&right).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let wrong: [(&str, Value); 12] = [
        ("unknown kind", embed(|node| node["uses"] = json!("embedd"))),
        ("unknown port", embed(|node| node["in"]["token"] = json!("a.b"))),
        ("missing port", embed(|node| node["in"] = json!({"checkpoint": "models/x"}))),
        ("list on a port of one", embed(|node| node["in"]["tokens"] = json!(["a.b", "c.d"]))),
        ("unknown parameter", embed(|node| node["with"] = json!({"bach": 1}))),
        ("parameter out of range", embed(|node| node["with"] = json!({"batch_tokens": 0}))),
        ("parameter of the wrong type", embed(|node| node["with"] = json!({"batch_tokens": [1]}))),
        ("size without unit", embed(|node| node["resources"]["ram"] = json!(8))),
        ("unknown resource", embed(|node| node["resources"]["gpus"] = json!(1))),
        (
            "retry that changes the result",
            embed(|node| node["retries"]["out_of_memory"]["set"] = json!({"seed": 1})),
        ),
        ("choice without axis", embed(|node| node["in"]["tokens"] = json!({"frozen": "a.b"}))),
        ("unknown key", embed(|node| node["wiht"] = json!({}))),
    ];
    for (name, file) in wrong {
        assert!(!validator.is_valid(&file), "{name}: {file}");
    }
}

#[test]
fn modules_for_workflow_managers_are_generated() {
    let registry = registry();
    let pipelines = repository().join("pipelines");
    for (path, text) in celldag_export::modules::nextflow::modules(&registry) {
        is_current(&pipelines.join("nextflow/modules").join(path), &text);
    }
    for (path, text) in celldag_export::modules::snakemake::modules(&registry) {
        is_current(&pipelines.join("snakemake/modules").join(path), &text);
    }
}
