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
                  "exclude": [{"m": ["x", 1]}], "include": [{"m": "x", "n": 0}], "when": "${p} == 1"},
            "d": {"uses": "count", "foreach": "m", "in": {"text": {"by": "m", "x": "a", "default": "b.text"}},
                  "with": {"unit": {"by": "d.kind", "x": "lines", "default": "words"}}},
            "e": {"uses": "make", "with": {"text": "x", "note": {"by": "m", "x": null, "default": "y"}},
                  "resources": {"threads": "${p}", "ram": "8 GiB", "gpu": 2, "gpu_memory": "${d.gb} GiB"},
                  "retries": {"transient": 2, "out_of_memory": {"times": 1, "set": {"threads": "half"}}}},
            "f": {"uses": "exec", "in": {"x": ["a", "b"]}, "with": {"n": 1}, "out": {"t": "t.txt", "u": {"file": "u/", "type": "text"}},
                  "run": ["sh", "{code:a.sh}", 7], "env": {"A": 1}, "code": ["lib/"], "version": ["sh"], "secrets": ["KEY"]},
            "g": {"uses": "./kinds/mine.py", "in": {"x": "a"}},
            "h": {"uses": "shout", "in": {"text": "a"}, "shards": 32},
            "i": {"uses": "shout", "foreach": ["m"], "in": {"text": "a"}, "shards": "${p}", "batch": ["m"]},
        },
        "include": ["x.yaml", {"file": "y.yaml", "with": {"n": "${p}"}, "as": "std"}],
        "secrets": ["OPENAI_API_KEY"],
        "outputs": {"r/${m}.txt": "a.text"},
        "profiles": {"small": {"params": {"p": 2}, "axes": {"n": {"range": [1, 9, 2]}}, "nodes": {"a": {"resources": {"gpu": 1}, "shards": 2, "batch": []}}}},
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
        node(&json!({"uses": "make", "with": {"text": "x"}, "resources": {"ram": 8}})),
        node(&json!({"uses": "make", "with": {"text": "x"}, "resources": {"ram": "8 parsecs"}})),
        node(&json!({"uses": "make", "with": {"text": "x"}, "resources": {"threads": 0}})),
        node(&json!({"uses": "make", "with": {"text": "x"}, "retries": {"oom": 1}})),
        node(&json!({"uses": "make", "with": {"text": "x"}, "retries": {"out_of_memory": {"times": 1}}})),
        node(
            &json!({"uses": "make", "with": {"text": "x"}, "retries": {"out_of_memory": {"set": {"times": "half"}}}}),
        ),
        node(&json!({"uses": "make", "with": {"text": "x"}, "shards": 4})),
        node(&json!({"uses": "exec", "run": ["sh"], "out": {"t": "t.txt"}, "shards": 4})),
        node(&json!({"uses": "shout", "in": {"text": "a"}, "shards": 0})),
        node(&json!({"uses": "shout", "in": {"text": "a"}, "shards": 10_001})),
        node(&json!({"uses": "make", "with": {"text": "x"}, "batch": "fold"})),
        node(&json!({"uses": "make", "with": {"text": {"by": "m"}}})),
        node(&json!({"uses": "make", "with": {"text": "x", "times": {"by": "m", "x": 0}}})),
        node(&json!({"uses": "count", "in": {"text": {"by": "m"}}})),
        node(&json!({"uses": "make", "with": {"text": "x"}, "include": "x.yaml"})),
        json!({"celldag": 1}),
        json!({"celldag": 1, "include": [{"with": {}}]}),
        json!({"celldag": 1, "include": "x.yaml", "secrets": ["sk-x"]}),
        json!({"celldag": 1, "include": "x.yaml", "profiles": {"p": {"nodes": {"a": {"with": {}}}}}}),
        node(&json!({"uses": "make", "with": {"text": "x"}, "run": ["sh"]})),
        node(&json!({"uses": "exec", "run": ["sh"]})),
        node(&json!({"uses": "exec", "run": "sh", "out": {"t": "t.txt"}})),
        node(&json!({"uses": "exec", "run": ["sh"], "out": {"t": {"type": "text"}}})),
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
