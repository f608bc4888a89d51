//! `celldag predict`: new cells with the trained heads of a run, as a pipeline that repeats what made their vectors.

mod checkpoint;
mod heads;
mod training;

use std::path::{Path, PathBuf};

use celldag_engine::{LoadOptions, RunHeader, record};
use serde_json::{Map, Value, json};

use self::training::Training;
use super::paths::{Folders, must_be_a_file, must_exist};
use super::shared::{Execution, check, execute, open_existing_store};
use super::store;
use crate::args::PredictArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &PredictArgs, output: &Output) -> Result<(), Failure> {
    must_exist("the cells", &args.cells)?;
    if let Some(checkpoint) = &args.checkpoint {
        must_exist("--checkpoint", checkpoint)?;
    }
    must_be_a_file("-o", &args.output, Folders::Made)?;
    let store = open_existing_store(&args.store)?;
    let record = record::load(&store, &args.run)?;
    let training = Training::find(&record, args.head.as_deref())?;
    let mut heads = Vec::new();
    for artifact in &training.heads {
        heads.push(text(&store.fetch(artifact)?)?);
    }
    let checkpoint = match &args.checkpoint {
        Some(folder) => checkpoint::named(folder, &training, &store)?,
        None => {
            let files = pipeline_files(&record.header, &store::folder(&args.store, Path::new("")))?;
            checkpoint::recorded(&files, &training, &store)?
        }
    };
    if training.folds_left_out > 0 {
        output.say(&format!(
            "{} of {} heads of the training are used, those that --head names",
            heads.len(),
            heads.len() + training.folds_left_out
        ));
    }
    if training.filters {
        output.say("cells and genes are not filtered as `qc` did in the run: every cell gets a prediction");
    }
    if let Some(genes) = training.shared_genes {
        output.say(&format!(
            "warning: the training saw only the {genes} genes that all its data sets have (`concat`, `join: inner`); the new cells are \
             read with all their genes, which shifts their vectors. Cut them to the genes of the training to be sure"
        ));
    }
    let pipeline = pipeline(args, &training, &heads, &checkpoint)?;
    let pipeline =
        check(&PathBuf::from("celldag-predict.yaml"), Some(&pipeline), &LoadOptions::default(), output)?;
    // The store holds the heads: it is the one to work in.
    drop(store);
    execute(pipeline, &args.store, &Execution::whole(&args.compute), output)
}

/// Where the pipeline file may be: where it was, as it was typed, and beside the store, should the project have moved since.
fn pipeline_files(run: &RunHeader, store: &Path) -> Result<Vec<PathBuf>, Failure> {
    let store = std::path::absolute(store)?;
    let mut files = vec![run.file.clone()];
    if let Some(name) = run.file.file_name() {
        if run.root.is_absolute() {
            files.insert(0, run.root.join(name));
        }
        files.extend(store.parent().map(|project| project.join(name)));
    }
    Ok(files)
}

/// The pipeline as text, so that the same checks and messages apply as for a file. JSON is YAML.
fn pipeline(
    args: &PredictArgs,
    training: &Training,
    heads: &[String],
    checkpoint: &Path,
) -> Result<String, Failure> {
    let (cells, checkpoint) = (text(&args.cells)?, text(checkpoint)?);
    let mut nodes = Map::new();
    let mut counts = json!(cells);
    if let Some(normalize) = &training.normalize {
        nodes.insert(
            "normalize".to_owned(),
            json!({ "uses": "normalize", "in": { "cells": cells }, "with": normalize }),
        );
        counts = json!("normalize.cells");
    }
    let mut with = Map::new();
    with.insert("checkpoint".to_owned(), training.checkpoint.clone().into());
    if let Some(genes) = training.genes {
        with.insert("training_genes".to_owned(), genes.into());
    }
    nodes.insert(
        "tokens".to_owned(),
        json!({
            "uses": "tokenize", "in": { "cells": counts, "checkpoint": checkpoint }, "with": training.tokenize,
        }),
    );
    nodes.insert(
        "embedding".to_owned(),
        json!({
            "uses": "embed",
            "in": { "tokens": "tokens.tokens", "checkpoint": checkpoint },
            "with": training.embed,
        }),
    );
    nodes.insert(
        "predict".to_owned(),
        json!({
            "uses": "predict", "in": { "embedding": "embedding.embedding", "head": heads }, "with": with,
        }),
    );
    Ok(json!({
        "celldag": 1,
        "name": "predict",
        "nodes": nodes,
        "outputs": { text(&args.output)?: "predict.predictions" },
    })
    .to_string())
}

/// An absolute path as text.
fn text(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path)?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!("{}: the path is not UTF-8, which a pipeline cannot hold", absolute.display()))
    })
}

/// The parameters of a recorded action that are not absent.
fn given<'a>(params: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Value {
    let given = params.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.clone(), value.clone())).collect())
}
