//! The parts of the schema that belong to no kind: axes, inputs, resources, retries, included files.

use serde_json::{Map, Value, json};

use crate::kind::KindSpec;
use crate::param::{ParamClass, ParamType};
use crate::resources::MAX_SHARDS;
use crate::spec::retries::MAX_RETRIES;

/// Names that users invent.
pub(super) const NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]*$";

pub(super) fn axis() -> Value {
    let scalar = json!({"type": ["string", "number", "boolean"]});
    let number = json!({"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/interpolated"}]});
    json!({"anyOf": [
        {"type": "array", "minItems": 1, "items": scalar, "description": "the values"},
        {"$ref": "#/$defs/interpolated"},
        {"type": "object", "additionalProperties": false, "required": ["range"], "properties": {"range": {
            "description": "n: 0 to n - 1; [a, b]: a to b - 1; [a, b, step]: every step-th of them",
            "anyOf": [number, {"type": "array", "minItems": 2, "maxItems": 3, "items": number}],
        }}},
        {"type": "object", "additionalProperties": false, "required": ["from", "key"], "properties": {
            "from": {"type": "string", "description": "a .tsv or .csv file with a header"},
            "key": {"type": "string", "description": "the column of the values"},
        }},
    ]})
}

/// What stands on a port that takes one artifact.
pub(super) fn input() -> Value {
    json!({"anyOf": [
        {"type": "string", "description": "node.port, node, or a path relative to this file"},
        {"type": "object", "additionalProperties": false, "required": ["gather"], "properties": {
            "gather": {"type": "string", "description": "node.port: all jobs along the axes that this node lacks"},
        }},
        {"$ref": "#/$defs/chosen_input"},
    ]})
}

/// A choice between inputs.
pub(super) fn chosen_input() -> Value {
    json!({
        "type": "object", "required": ["by"], "minProperties": 2,
        "description": "chosen by the value of an axis: {by: strategy, frozen: a.port, default: b.port}",
        "properties": {"by": by()},
        "additionalProperties": {"anyOf": [
            {"type": "string"},
            {"type": "null"},
            {"type": "object", "additionalProperties": false, "required": ["gather"], "properties": {"gather": {"type": "string"}}},
            {"type": "array", "minItems": 1},
        ]},
    })
}

/// `schema`, or a choice between values of it.
pub(crate) fn or_choice(schema: &Value) -> Value {
    let case = json!({"anyOf": [schema, {"type": "null"}]});
    json!({"anyOf": [schema, {
        "type": "object", "required": ["by"], "minProperties": 2,
        "description": "chosen by the value of an axis",
        "properties": {"by": by()},
        "additionalProperties": case,
    }]})
}

fn by() -> Value {
    json!({"type": "string", "description": "axis, or axis.column of a table"})
}

pub(super) fn resources() -> Value {
    let count = |min: u64, max: u64, about: &str| {
        json!({
            "description": about,
            "anyOf": [{"type": "integer", "minimum": min, "maximum": max}, {"$ref": "#/$defs/interpolated"}],
        })
    };
    let size = |about: &str| {
        json!({
            "type": "string", "description": about, "examples": ["500 MiB", "8 GiB"],
            "pattern": "(\\$\\{[^}]+\\})|^[0-9.]+ ?([kKmMgGtT]([iI]?[bB])?|[bB])$",
        })
    };
    json!({
        "type": "object",
        "description": "what a job needs of the machine; in no key",
        "additionalProperties": false,
        "properties": {
            "threads": count(1, 4096, "CPU slots held while a job runs"),
            "ram": size("main memory held while a job runs"),
            "gpu": count(0, 64, "GPUs held while a job runs; kinds that use the device hold one without asking"),
            "gpu_memory": size("memory of each of these GPUs; the whole GPU when absent"),
        },
    })
}

/// `retries:`; `set` says which perf parameters there are.
pub(super) fn retries(set: &Value) -> Value {
    let times = |min: i64| json!({"type": "integer", "minimum": min, "maximum": MAX_RETRIES});
    json!({
        "description": "how often a failed job is tried again; in no key",
        "anyOf": [
            times(0),
            {"type": "object", "additionalProperties": false, "properties": {
                "transient": times(0),
                "out_of_memory": {
                    "type": "object", "additionalProperties": false, "required": ["set"],
                    "properties": {"times": times(1), "set": set},
                },
            }},
        ],
    })
}

/// The perf parameters of a kind as a retry may change them.
pub(super) fn perf_changes(spec: &KindSpec, of: impl Fn(&ParamType) -> Value) -> Value {
    let perf = spec.params.iter().filter(|param| param.class == ParamClass::Perf);
    let change = |ty: &ParamType| match ty {
        ParamType::Int { .. } => json!({"anyOf": [{"const": "half"}, of(ty)]}),
        _ => of(ty),
    };
    let properties: Map<String, Value> =
        perf.map(|param| (param.name.to_owned(), change(&param.ty))).collect();
    json!({"type": "object", "minProperties": 1, "additionalProperties": false, "properties": properties})
}

pub(super) fn timeout() -> Value {
    json!({"type": "string", "examples": ["90s", "30m", "1h30m"], "description": "a job that takes longer has failed"})
}

pub(super) fn shards() -> Value {
    json!({
        "description": "into how many parts an exported workflow cuts each job, by cells; in no key",
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MAX_SHARDS},
            {"$ref": "#/$defs/interpolated"},
        ],
    })
}

pub(super) fn batch() -> Value {
    json!({
        "type": "array", "uniqueItems": true, "items": {"type": "string"},
        "description": "axes of the node whose jobs an exported workflow bundles into one; in no key",
    })
}

/// `exclude:` and `include:` of a node.
pub(super) fn combinations(about: &str) -> Value {
    let scalars = json!({"type": ["string", "number", "boolean"]});
    json!({
        "type": "array",
        "description": about,
        "items": {"type": "object", "minProperties": 1, "additionalProperties": {
            "anyOf": [scalars, {"type": "array", "items": scalars}],
        }},
    })
}

/// `include:` of a file.
pub(super) fn include() -> Value {
    let entry = json!({"anyOf": [
        {"type": "string", "description": "a pipeline file, relative to this one"},
        {"type": "object", "additionalProperties": false, "required": ["file"], "properties": {
            "file": {"type": "string", "description": "a pipeline file, relative to this one"},
            "with": {"type": ["object", "null"], "description": "its parameters", "propertyNames": {"pattern": NAME}},
            "as": {"type": "string", "pattern": NAME, "description": "put before the names of its nodes: std → std_qc"},
        }},
    ]});
    json!({
        "description": "pipeline files whose nodes become nodes of this one",
        "anyOf": [entry, {"type": "array", "items": entry}],
    })
}

pub(super) fn profile() -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "params": {"type": "object"},
            "axes": {
                "type": "object",
                "description": "replaced axes; for an axis from a table, a list picks rows",
                "additionalProperties": {"$ref": "#/$defs/axis"},
            },
            "nodes": {
                "type": "object",
                "description": "what changes at single nodes without changing any key",
                "additionalProperties": {"type": "object", "additionalProperties": false, "properties": {
                    "resources": {"$ref": "#/$defs/resources"},
                    "retries": retries(&json!({"type": "object", "minProperties": 1})),
                    "timeout": timeout(),
                    "shards": shards(),
                    "batch": batch(),
                }},
            },
        },
    })
}
