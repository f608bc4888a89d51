//! `celldag embed`: tokenize and embed as a pipeline of two nodes, cached like any other.

use std::path::{Path, PathBuf};

use celldag_engine::{Diagnostics, LoadOptions, Param, nearest, with_value};
use celldag_models::{Purpose, cell_model, cell_models};
use serde_json::{Value, json};

use super::model_names::{Embedded, refuse_model, refuse_unknown_model};
use super::paths::{Folders, must_be_a_file, must_exist};
use super::shared::{Execution, check, execute};
use crate::args::EmbedArgs;
use crate::failure::Failure;
use crate::kinds::registry;
use crate::output::Output;

pub(crate) fn run(args: &EmbedArgs, output: &Output) -> Result<(), Failure> {
    must_exist("the cells", &args.cells)?;
    must_exist("--checkpoint", &args.checkpoint)?;
    must_be_a_file("-o", &args.output, Folders::Made)?;
    let text = pipeline(args)?;
    let folder = PathBuf::from("celldag-embed.yaml");
    let pipeline = check(&folder, Some(&text), &LoadOptions::default(), output)?;
    execute(pipeline, &args.store, &Execution::whole(&args.compute), output)
}

/// The pipeline as text, so that the same checks and messages apply as for a file. JSON is YAML.
fn pipeline(args: &EmbedArgs) -> Result<String, Failure> {
    refuse_model(&args.with)?;
    refuse_unknown_model(&args.model, Embedded::Cells)?;
    let registry = registry();
    let model = cell_model(&args.model);
    // An option that both kinds know goes where this model has it; what no model has is a parameter of the kind itself.
    let takes = |kind: &str, purpose: Purpose, name: &str| -> Option<&Param> {
        let any = cell_models().iter().any(|m| m.options(purpose).iter().any(|option| option.name == name));
        let has = model.is_none_or(|model| model.options(purpose).iter().any(|option| option.name == name));
        let param = registry.get(kind)?.spec.params.iter().find(|param| param.name == name);
        param.filter(|_| has || !any)
    };
    let mut tokenize = json!({ "model": args.model });
    let mut embed = json!({ "model": args.model });
    for (name, value) in &args.with {
        let known = [("tokenize", Purpose::Tokenize, &mut tokenize), ("embed", Purpose::Embed, &mut embed)];
        let mut used = false;
        for (kind, purpose, with) in known {
            if let Some(param) = takes(kind, purpose, name) {
                with[name] =
                    literal(with_value(param, value).map_err(|finding| Diagnostics::from(*finding))?);
                used = true;
            }
        }
        if !used {
            let mut known = Vec::new();
            for (kind, purpose) in [("tokenize", Purpose::Tokenize), ("embed", Purpose::Embed)] {
                let params = registry.get(kind).map(|kind| &kind.spec.params).into_iter().flatten();
                // `--with model=` is refused: it is no remedy.
                let params = params.map(|param| param.name).filter(|name| *name != "model");
                known.extend(params.filter(|name| takes(kind, purpose, name).is_some()));
            }
            return Err(Failure::Usage {
                message: format!(
                    "neither `tokenize` nor `embed` has a parameter `{name}` for {}",
                    args.model
                ),
                help: Some(nearest(name, known).map_or_else(
                    || "see `celldag nodes tokenize` and `celldag nodes embed`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                )),
            });
        }
    }
    let absolute = |path: &Path| std::path::absolute(path).map(|p| escaped(&p.display().to_string()));
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

/// A value as a pipeline file writes it.
fn literal(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(escaped(&text)),
        Value::Array(items) => items.into_iter().map(literal).collect(),
        other => other,
    }
}

/// Text of the command line refers to no parameter of a pipeline.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}
