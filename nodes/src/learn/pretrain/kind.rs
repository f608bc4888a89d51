//! The kind `pretrain` itself: parameters and files.

use std::path::{Path, PathBuf};

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step};
use celldag_models::pretraining::{GeneDictionaries, ModelShape};
use serde::Deserialize;

use crate::artifacts::{CELLS, CHECKPOINT, HISTORY};
use crate::embed::{checkpoint, failure, options};

/// Trains a model on hidden genes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pretrain;

#[derive(Debug, Deserialize)]
pub(super) struct Options {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) licence: String,
    pub(super) counts: String,
    pub(super) min_cells: u64,
    pub(super) layers: usize,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) feedforward: usize,
    pub(super) context: usize,
    pub(super) activation: String,
    pub(super) mask_probability: f64,
    pub(super) validation_fraction: f64,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
    pub(super) schedule: String,
    pub(super) warmup: f64,
    pub(super) clip: f64,
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) accumulation: usize,
    pub(super) early_stopping: usize,
    pub(super) recompute: bool,
    pub(super) precision: String,
    pub(super) batch_tokens: Option<usize>,
    pub(super) seed: u64,
}

impl Options {
    pub(super) fn shape(&self) -> ModelShape {
        ModelShape {
            layers: self.layers,
            hidden: self.hidden,
            heads: self.heads,
            feedforward: self.feedforward,
            context: self.context,
            activation: self.activation.clone(),
        }
    }
}

impl Kind for Pretrain {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "pretrain",
            epoch: 2,
            about: "trains a Geneformer-style model from nothing to find hidden genes of cells, in the published format",
            inputs: vec![
                InPort {
                    name: "cells",
                    ty: CELLS,
                    many: Multiplicity::Many,
                    about: "raw counts of all genes of one or several files",
                },
                InPort {
                    name: "dictionaries",
                    ty: CHECKPOINT,
                    many: Multiplicity::One,
                    about: "folder with the token and median dictionaries of a Geneformer; its weights are not read",
                },
            ],
            outputs: vec![
                OutPort {
                    name: "checkpoint",
                    ty: CHECKPOINT,
                    file: "checkpoint/",
                    about: "a Geneformer V1 folder: config.json, model.safetensors, dictionaries, training.json and a card",
                },
                OutPort {
                    name: "history",
                    ty: HISTORY,
                    file: "history.json",
                    about: "loss of every epoch beside that of gene frequencies alone; the same as training.json",
                },
            ],
            params: of_model().into_iter().chain(of_training()).chain(options::computing()).collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        // What `celldag check` has no value for yet is checked when the step runs.
        let Ok(options) = params.read::<Options>() else { return Vec::new() };
        let mut wrong = Vec::new();
        // Any vocabulary: the true one shows in the cells.
        if let Err(error) = options.shape().config(1000) {
            wrong.push(("hidden".to_owned(), error.to_string()));
        }
        if options.mask_probability <= 0.0 {
            wrong.push(("mask_probability".to_owned(), "must be above 0, or nothing is hidden".to_owned()));
        }
        if options.validation_fraction >= 1.0 {
            let why = "must be below 1, or no cell is trained on".to_owned();
            wrong.push(("validation_fraction".to_owned(), why));
        }
        if options.validation_fraction <= 0.0 && options.early_stopping > 0 {
            let why =
                "stops by the loss of validation cells, and `validation_fraction: 0` keeps none".to_owned();
            wrong.push(("early_stopping".to_owned(), why));
        }
        wrong
    }

    fn input_files(&self, port: &str, path: &Path, _: &Params) -> Result<Option<Vec<PathBuf>>, NodeError> {
        if port != "dictionaries" {
            return Ok(None);
        }
        let folder = fs_err::canonicalize(path).map_err(|e| NodeError::data(e.to_string()))?;
        let found = GeneDictionaries::find(&folder).map_err(|e| failure::model(&e))?;
        checkpoint::relative_to(&folder, &found.files()).map(Some)
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        Ok(super::run::run(step, &step.read_params()?)?)
    }
}

/// What the model is. Defaults are those of the published 6-layer model.
fn of_model() -> Vec<Param> {
    vec![
        Param::int("layers", "layers of the encoder").range(1, 1 << 10).default(6),
        Param::int("hidden", "width of the token states").range(1, 1 << 16).default(256),
        Param::int("heads", "attention heads; divides `hidden` into at most 128 columns a head")
            .range(1, 1 << 10)
            .default(4),
        Param::int("feedforward", "width of the feed-forward part").range(1, 1 << 18).default(512),
        Param::int("context", "most genes of a cell; those of lowest rank are cut off")
            .range(3, 1 << 20)
            .unit("tokens")
            .default(2048),
        Param::choice(
            "activation",
            &["relu", "gelu", "gelu_new", "silu"],
            "of the feed-forward part and of the head",
        )
        .default("relu"),
        Param::int("min_cells", "genes that fewer cells of all files express are not in the vocabulary")
            .range(1, i64::MAX)
            .unit("cells")
            .default(30),
        Param::text("counts", "matrix of raw counts of every file: auto, X, raw/X or layers/NAME")
            .default("auto"),
        Param::text("name", "what the card calls the model").default("geneformer-style model"),
        Param::text("about", "what the card says about the cells: where they come from").default(""),
        Param::text("licence", "licence of the weights, for the card").default("not stated"),
    ]
}

/// How it is trained.
fn of_training() -> Vec<Param> {
    vec![
        Param::float("mask_probability", 0.0, 1.0, "share of the genes of a cell that are hidden; of these 80 % are masked, 10 % replaced by any gene, 10 % left").default(0.15),
        Param::float("validation_fraction", 0.0, 1.0, "share of the cells that are not trained on and give the loss of every epoch").default(0.05),
        Param::float("learning_rate", 1e-12, 100.0, "highest step size of AdamW").default(1e-3),
        Param::float("weight_decay", 0.0, 100.0, "decay of weights; biases and normalisations have none").default(1e-3),
        Param::choice("schedule", &["linear", "cosine", "constant"], "learning rate after the warm-up: straight to 0, along a cosine to 0, or as it is").default("linear"),
        Param::float("warmup", 0.0, 1.0, "share of all steps over which the learning rate rises from 0").default(0.1),
        Param::float("clip", 0.0, 1e12, "most norm of the gradient of all weights; 0: any").default(1.0),
        Param::int("epochs", "most passes over the training cells").range(1, 1_000_000).default(3),
        Param::int("batch_size", "cells of an optimiser step").range(1, 1 << 20).unit("cells").default(12),
        Param::int("accumulation", "parts that a batch is computed in, one after the other, their gradients added: less memory").range(1, 1 << 20).default(1),
        Param::int("early_stopping", "stop after so many epochs without a lower loss on the validation cells; 0: train all epochs; the best one is kept either way").range(0, 1_000_000).unit("epochs").default(0),
        Param::bool("recompute", "compute layers twice instead of keeping their results: less memory; done anyway when memory is short").default(false).perf(),
        Param::int("seed", "seed of initial weights, hidden genes, batch order and validation cells").default(0),
    ]
}
