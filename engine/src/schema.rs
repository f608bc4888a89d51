//! The JSON Schema of pipeline files (draft 2020-12), built from the registry, for completion and checks in editors.
//!
//! It says less than the loader: whether names in `${...}` and references exist is not its business. Where a value may
//! be a number, a text with `${...}` is accepted too.

mod parts;
pub mod reference;

use serde_json::{Map, Value, json};

use crate::check::types::describe;
use crate::exec;
use crate::kind::{InPort, KindSpec, Multiplicity};
use crate::param::{Param, ParamType};
use crate::registry::{Registered, Registry};
pub(crate) use parts::or_choice;
use parts::{
    NAME, axis, batch, chosen_input, combinations, include, input, perf_changes, profile, resources, retries,
    shards, timeout,
};

/// The schema of pipeline files with the kinds of `registry`.
#[must_use]
pub fn schema(registry: &Registry) -> Value {
    let mut kinds: Vec<Value> = registry
        .iter()
        .map(|kind| json!({"const": kind.spec.name, "description": kind.spec.about}))
        .collect();
    kinds.push(exec::schema::kind());
    // `uses: ./tools/kind` names an executable by its path; what it takes is not known here.
    kinds.push(
        json!({"type": "string", "pattern": "/", "description": "an executable that describes itself"}),
    );
    let mut per_kind: Vec<Value> = registry.iter().map(per_kind).collect();
    per_kind.push(exec::schema::rule());
    let name = NAME;
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "celldag pipeline",
        "type": "object",
        "additionalProperties": false,
        "required": ["celldag"],
        "anyOf": [{"required": ["nodes"]}, {"required": ["include"]}],
        "properties": {
            "celldag": {"const": 1, "description": "version of the format"},
            "name": {"type": "string", "description": "name of the pipeline; default: name of the file"},
            "description": {"type": "string", "description": "what the pipeline is for"},
            "params": {
                "type": "object",
                "description": "values used as ${name}; `--set name=value` overrides them",
                "propertyNames": {"pattern": name},
            },
            "axes": {
                "type": "object",
                "description": "what nodes vary over, named once; ${axis} and ${axis.column} are the value of a job",
                "propertyNames": {"pattern": name},
                "additionalProperties": {"$ref": "#/$defs/axis"},
            },
            "include": include(),
            "nodes": {
                "type": "object",
                "description": "the steps",
                "minProperties": 1,
                "propertyNames": {"pattern": name},
                "additionalProperties": {"$ref": "#/$defs/node"},
            },
            "outputs": {
                "type": "object",
                "description": "path → node.port: artifacts to put outside the store",
                "additionalProperties": {"type": "string"},
            },
            "profiles": {
                "type": "object",
                "description": "named sets of changes, chosen with --profile",
                "propertyNames": {"pattern": name},
                "additionalProperties": profile(),
            },
            "secrets": {
                "type": "array",
                "description": "names of environment variables that nodes need; never what they hold",
                "items": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            },
            "salt": {"type": "string", "description": "part of every key: change it to recompute everything"},
            "numerics": {
                "enum": ["tolerant", "strict"],
                "default": "tolerant",
                "description": "strict: results of different devices are different results",
            },
        },
        "$defs": {
            "interpolated": {"type": "string", "pattern": "\\$\\{[^}]+\\}"},
            "axis": axis(),
            "input": input(),
            "chosen_input": chosen_input(),
            "resources": resources(),
            "inputs": {"anyOf": [
                {"$ref": "#/$defs/input"},
                {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/input"}},
            ]},
            "node": node(&kinds, &per_kind),
        },
    })
}

fn node(kinds: &[Value], per_kind: &[Value]) -> Value {
    let mut node = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["uses"],
        "properties": {
            "uses": {"description": "the kind", "oneOf": kinds},
            "foreach": {
                "description": "axes that the node varies over: one job for each combination",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "uniqueItems": true}],
            },
            "in": {"type": "object", "description": "what stands on the input ports"},
            "with": {"type": "object", "description": "parameters"},
            "keep": {
                "enum": ["temp", "always"],
                "default": "always",
                "description": "temp: bytes may be deleted once everything that needs them is done",
            },
            "resources": {"$ref": "#/$defs/resources"},
            "retries": retries(&json!({"type": "object", "minProperties": 1})),
            "timeout": timeout(),
            "shards": shards(),
            "batch": batch(),
            "exclude": combinations("combinations without a job: axis → value or values"),
            "include": combinations("combinations that have a job although `exclude` names them"),
            "when": {
                "type": ["string", "boolean"],
                "description": "condition on known values: ==, !=, in, not in, and, or, not",
                "examples": ["${model} == scgpt and ${fold} not in [0, 1]"],
            },
        },
        "allOf": per_kind,
    });
    for (key, schema) in exec::schema::properties() {
        node["properties"][key] = schema;
    }
    node
}

/// What `with` and `in` hold when `uses` is this kind.
fn per_kind(kind: &Registered) -> Value {
    let spec: &KindSpec = &kind.spec;
    let params: Map<String, Value> =
        spec.params.iter().map(|param| (param.name.to_owned(), param_schema(param))).collect();
    let required: Vec<&str> = spec.params.iter().filter(|p| p.default.is_none()).map(|p| p.name).collect();
    let ports: Map<String, Value> =
        spec.inputs.iter().map(|port| (port.name.to_owned(), port_schema(port))).collect();
    let needed: Vec<&str> =
        spec.inputs.iter().filter(|port| port.many != Multiplicity::Optional).map(|port| port.name).collect();
    let mut then = Map::new();
    let mut sections = Vec::new();
    if !required.is_empty() {
        sections.push("with");
    }
    if !needed.is_empty() {
        sections.push("in");
    }
    if !sections.is_empty() {
        then.insert("required".to_owned(), json!(sections));
    }
    then.insert(
        "properties".to_owned(),
        json!({
            "with": {"type": ["object", "null"], "additionalProperties": false, "required": required, "properties": params},
            "in": {"type": ["object", "null"], "additionalProperties": false, "required": needed, "properties": ports},
            "retries": retries(&perf_changes(spec, type_schema)),
        }),
    );
    if !kind.kind.can_be_cut() {
        then["properties"]["shards"] = json!(false);
    }
    json!({"if": {"required": ["uses"], "properties": {"uses": {"const": spec.name}}}, "then": then})
}

fn port_schema(port: &InPort) -> Value {
    let shape = if port.many == Multiplicity::Many { "#/$defs/inputs" } else { "#/$defs/input" };
    let many = match port.many {
        Multiplicity::One => "",
        Multiplicity::Optional => ", optional",
        Multiplicity::Many => ", one or more",
    };
    json!({"$ref": shape, "description": format!("{} ({}{many})", port.about, port.ty)})
}

fn param_schema(param: &Param) -> Value {
    let of_type = match param.ty {
        // A mapping on such a parameter is its value.
        ParamType::Map(_) => type_schema(&param.ty),
        _ => or_choice(&type_schema(&param.ty)),
    };
    let mut schema = match of_type {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let unit = if param.unit.is_empty() { String::new() } else { format!(" [{}]", param.unit) };
    schema
        .insert("description".to_owned(), json!(format!("{}{unit} ({})", param.about, describe(&param.ty))));
    match &param.default {
        Some(Value::Null) => {
            let value = json!({"anyOf": [Value::Object(schema.clone()), {"type": "null"}]});
            let mut optional = value.as_object().cloned().unwrap_or_default();
            optional.insert("description".to_owned(), schema.get("description").cloned().unwrap_or_default());
            return Value::Object(optional);
        }
        Some(default) => {
            schema.insert("default".to_owned(), default.clone());
        }
        None => {}
    }
    Value::Object(schema)
}

fn type_schema(ty: &ParamType) -> Value {
    let or_interpolated = |schema: Value| json!({"anyOf": [schema, {"$ref": "#/$defs/interpolated"}]});
    match ty {
        ParamType::Bool => or_interpolated(json!({"type": "boolean"})),
        ParamType::Int { min, max } => {
            let mut schema = Map::from_iter([("type".to_owned(), json!("integer"))]);
            if *min > i64::MIN {
                schema.insert("minimum".to_owned(), json!(min));
            }
            if *max < i64::MAX {
                schema.insert("maximum".to_owned(), json!(max));
            }
            or_interpolated(Value::Object(schema))
        }
        ParamType::Float { min, max } => {
            let mut schema = Map::from_iter([("type".to_owned(), json!("number"))]);
            if *min > f64::MIN {
                schema.insert("minimum".to_owned(), json!(min));
            }
            if *max < f64::MAX {
                schema.insert("maximum".to_owned(), json!(max));
            }
            or_interpolated(Value::Object(schema))
        }
        // Editors type an unquoted 7 as a number; here it is the text "7".
        ParamType::Text => json!({"type": ["string", "number", "boolean"]}),
        ParamType::Choice(words) => or_interpolated(json!({"enum": words})),
        ParamType::List(of) => or_interpolated(json!({"type": "array", "items": type_schema(of)})),
        ParamType::Map(of) => {
            or_interpolated(json!({"type": "object", "additionalProperties": type_schema(of)}))
        }
    }
}

#[cfg(test)]
mod tests;
