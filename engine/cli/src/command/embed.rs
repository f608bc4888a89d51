//! `celldag embed`: tokenize and embed as a pipeline of two nodes, cached like any other.

use std::path::{Path, PathBuf};

use celldag_engine::LoadOptions;
use celldag_models::{Purpose, cell_model, cell_models};
use serde_json::{Value, json};

use super::shared::{Execution, check, execute};
use crate::args::EmbedArgs;
use crate::failure::Failure;
use crate::kinds::registry;
use crate::output::Output;

pub(crate) fn run(args: &EmbedArgs, output: &Output) -> Result<(), Failure> {
    for path in [&args.cells, &args.checkpoint] {
        if !path.exists() {
            let message = format!("{} does not exist", path.display());
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, message).into());
        }
    }
    let text = pipeline(args)?;
    let folder = PathBuf::from("celldag-embed.yaml");
    let pipeline = check(&folder, Some(&text), &LoadOptions::default(), output)?;
    execute(pipeline, &Execution::whole(&args.compute, &args.store), output)
}

/// The pipeline as text, so that the same checks and messages apply as for a file. JSON is YAML.
fn pipeline(args: &EmbedArgs) -> Result<String, Failure> {
    let registry = registry();
    let model = cell_model(&args.model);
    // An option that both kinds know goes where this model has it; what no model has is a parameter of the kind itself.
    let takes = |kind: &str, purpose: Purpose, name: &str| {
        let any = cell_models().iter().any(|m| m.options(purpose).iter().any(|option| option.name == name));
        match model {
            Some(model) if any => model.options(purpose).iter().any(|option| option.name == name),
            _ => {
                registry.get(kind).is_some_and(|kind| kind.spec.params.iter().any(|param| param.name == name))
            }
        }
    };
    let mut tokenize = json!({ "model": args.model });
    let mut embed = json!({ "model": args.model });
    for (name, value) in &args.with {
        let known = [("tokenize", Purpose::Tokenize, &mut tokenize), ("embed", Purpose::Embed, &mut embed)];
        let mut used = false;
        for (kind, purpose, with) in known {
            if takes(kind, purpose, name) {
                with[name] = typed(value);
                used = true;
            }
        }
        if !used {
            return Err(Failure::Usage {
                message: format!(
                    "neither `tokenize` nor `embed` has a parameter `{name}` for {}",
                    args.model
                ),
                help: Some("see `celldag nodes tokenize` and `celldag nodes embed`".to_owned()),
            });
        }
    }
    let absolute = |path: &Path| std::path::absolute(path).map(|p| p.display().to_string());
    let checkpoint = absolute(&args.checkpoint)?;
    Ok(json!({
        "celldag": 1,
        "name": "embed",
        "nodes": {
            "tokens": {
                "uses": "tokenize",
                "in": { "cells": absolute(&args.cells)?, "checkpoint": checkpoint },
                "with": tokenize,
            },
            "embedding": {
                "uses": "embed",
                "in": { "tokens": "tokens.tokens", "checkpoint": checkpoint },
                "with": embed,
            },
        },
        "outputs": { absolute(&args.output)?: "embedding.embedding" },
    })
    .to_string())
}

/// A value of the command line: a number or truth value where it reads as one, else text.
fn typed(value: &str) -> Value {
    match serde_json::from_str(value) {
        Ok(number_or_bool @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => number_or_bool,
        _ => Value::String(value.to_owned()),
    }
}
