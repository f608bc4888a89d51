//! What editors know about nodes with `uses: exec`: their keys, and that their ports and parameters have any name.

use serde_json::{Value, json};

use super::template::WORDS;
use crate::schema::or_choice;
use crate::spec::exec::{EXEC, KEYS};

/// The kind, for the list of kinds.
pub(crate) fn kind() -> Value {
    json!({"const": EXEC, "description": "any external program, with declared inputs, outputs, variables and code files"})
}

/// Keys that only such nodes have.
pub(crate) fn properties() -> Vec<(&'static str, Value)> {
    let texts = |about: String| json!({"type": "array", "items": {"type": ["string", "number", "boolean"]}, "description": about});
    let placeholders: Vec<String> = WORDS.iter().map(|word| format!("{{{word}}}")).collect();
    vec![
        ("run", texts(format!("program and arguments; placeholders: {}", placeholders.join(", ")))),
        (
            "env",
            json!({
                "type": ["object", "null"],
                "description": "variables that the program sees besides PATH, LC_ALL, HOME and TMPDIR",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "additionalProperties": {"type": ["string", "number", "boolean"]},
            }),
        ),
        (
            "code",
            texts(
                "files and folders that the program reads of itself, below the folder of this file"
                    .to_owned(),
            ),
        ),
        ("version", texts("a program whose output is part of the key: [python3, --version]".to_owned())),
        (
            "secrets",
            texts("names of variables that are passed on and kept out of keys, logs and reports".to_owned()),
        ),
        (
            "out",
            json!({
                "type": "object",
                "description": "port → file name; a name that ends in / is a folder",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [
                    {"type": "string"},
                    {"type": "object", "additionalProperties": false, "required": ["file"], "properties": {
                        "file": {"type": "string", "description": "file name"},
                        "type": {"type": "string", "description": "type of the artifact, as `celldag nodes` names it"},
                    }},
                ]},
            }),
        ),
    ]
}

/// What a node needs when it runs a program, and what it must not have when it does not.
pub(crate) fn rule() -> Value {
    let refused: serde_json::Map<String, Value> =
        KEYS.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    json!({
        "if": {"required": ["uses"], "properties": {"uses": {"const": EXEC}}},
        "then": {
            "required": ["run", "out"],
            "properties": {
                "shards": false,
                "in": {"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/inputs"}},
                "with": {"type": ["object", "null"], "additionalProperties": or_choice(&json!({
                    "type": ["string", "number", "boolean", "array"],
                }))},
            },
        },
        "else": {"properties": refused},
    })
}
