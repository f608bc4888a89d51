//! The schema accepts what the loader accepts, and catches the plain slips.

use serde_json::{Value, json};

use super::schema;
use crate::testing::registry;

fn accepts(file: &Value) -> bool {
    jsonschema::draft202012::new(&schema(&registry())).unwrap().is_valid(file)
}

fn node(node: &Value) -> Value {
    json!({"celldag": 1, "nodes": {"a": node}})
}

#[test]
fn is_a_valid_schema() {
    assert!(jsonschema::meta::is_valid(&schema(&registry())));
}

#[test]
fn accepts_pipelines() {
    assert!(accepts(&json!({
        "celldag": 1,
        "name": "x",
        "params": {"p": 1, "q": [1, 2]},
        "axes": {"m": ["x", 1], "n": {"range": 3}, "o": {"range": [1, "${p}"]}, "d": {"from": "d.tsv", "key": "id"}},
        "nodes": {
            "a": {"uses": "make", "foreach": ["m"], "with": {"text": 7, "times": "${p}", "note": null, "tags": ["x"], "weights": {"a": 0.5}}},
            "b": {"uses": "join", "foreach": "m", "in": {"parts": ["a", {"gather": "a.text"}], "header": "x/y.txt"}},
            "c": {"uses": "count", "in": {"text": "b"}, "keep": "temp", "retries": 1, "timeout": "1h", "resources": {"threads": 1, "gpu": 1},
                  "exclude": [{"m": ["x", 1]}], "when": "${p} == 1"},
        },
        "outputs": {"r/${m}.txt": "a.text"},
        "profiles": {"small": {"params": {"p": 2}, "axes": {"n": {"range": 1}}}},
        "salt": "s",
        "numerics": "strict",
    })));
}

#[test]
fn refuses_slips() {
    for wrong in [
        json!({"nodes": {}}),
        json!({"celldag": 2, "nodes": {"a": {"uses": "make", "with": {"text": "x"}}}}),
        node(&json!({"uses": "mak", "with": {"text": "x"}})),
        node(&json!({"uses": "make"})),
        node(&json!({"uses": "make", "with": {"txt": "x"}})),
        node(&json!({"uses": "make", "with": {"text": "x", "times": 0}})),
        node(&json!({"uses": "make", "with": {"text": "x", "times": "many"}})),
        node(&json!({"uses": "make", "with": {"text": ["x"]}})),
        node(&json!({"uses": "count", "in": {"text": "a"}, "with": {"unit": "word"}})),
        node(&json!({"uses": "count", "in": {"text": ["a", "b"]}})),
        node(&json!({"uses": "count", "in": {}})),
        node(&json!({"uses": "count", "in": {"txt": "a"}})),
        node(&json!({"uses": "make", "with": {"text": "x"}, "need": ["b"]})),
    ] {
        assert!(!accepts(&wrong), "{wrong}");
    }
}

#[test]
fn describes_parameters_and_ports() {
    let schema = schema(&registry());
    let make = schema["$defs"]["node"]["allOf"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["if"]["properties"]["uses"]["const"] == "make")
        .unwrap();
    let times = &make["then"]["properties"]["with"]["properties"]["times"];
    assert_eq!(times["description"], "how often [copies] (a whole number from 1 to 1000)");
    assert_eq!(times["default"], 1);
    assert_eq!(make["then"]["properties"]["with"]["required"], json!(["text"]));
}
