//! Each node kind as a module that workflows take from a folder: an nf-core-style process for Nextflow, a wrapper folder
//! for Snakemake. Written from what kinds say about themselves, so that they cannot differ from the program.

mod names;
pub mod nextflow;
pub mod snakemake;

pub(crate) use names::variables;

use celldag_engine::param::ParamClass;
use celldag_engine::{KindSpec, Param};
use serde_json::Value;

/// A text in a comment of Groovy: a line end would make code of what follows.
pub(crate) fn in_comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A text as a YAML scalar: what JSON quotes, YAML reads.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Parameters as an indented block of YAML: their name, and what the reference says about each.
fn params_yaml(spec: &KindSpec, indent: &str) -> String {
    let line = |param: &Param| {
        let need = match &param.default {
            None => "required".to_owned(),
            Some(Value::Null) => "optional".to_owned(),
            Some(value) => format!("default {value}"),
        };
        let speed = if param.class == ParamClass::Perf { "; speed or memory only" } else { "" };
        format!("{indent}{}: {}\n", param.name, quoted(&format!("{} ({need}{speed})", param.about)))
    };
    spec.params.iter().map(line).collect()
}
