//! The kind `mlp-head` itself: parameters, files, one training a fold.

use celldag_engine::{Kind, KindSpec, NodeError, Param, ParamType, Params, Step};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::learn::ports;

/// Trains a perceptron per fold.
#[derive(Clone, Copy, Debug, Default)]
pub struct MlpHead;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) fold: Option<u32>,
    pub(super) key: Option<String>,
    pub(super) hidden: Vec<usize>,
    pub(super) loss: String,
    pub(super) optimizer: String,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
    pub(super) momentum: f64,
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) early_stopping: usize,
    pub(super) standardize: bool,
    pub(super) class_weight: String,
    pub(super) dataset: String,
    pub(super) seed: u64,
}

impl Kind for MlpHead {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "mlp-head",
            epoch: 2,
            about: "trains a multilayer perceptron on frozen embeddings per fold and scores the test cells",
            inputs: ports::inputs_of_frozen(),
            outputs: ports::outputs("training and validation loss of every epoch"),
            params: vec![
                Param::int("fold", "train this fold only; default: all").range(0, 100_000).optional(),
                Param::text("key", "array of obsm to use; default: the only one there is").optional(),
                Param::list("hidden", ParamType::Int { min: 1, max: 1 << 20 }, "widths of the hidden layers (ReLU)")
                    .unit("units")
                    .default(json!([512, 512])),
                Param::choice(
                    "loss",
                    &["auto", "bce", "cross-entropy", "scdrugmap-two-logit"],
                    "auto: bce (one logit) for two classes, else cross-entropy; scdrugmap-two-logit: as that code does",
                )
                .default("auto"),
                Param::choice("optimizer", &["adamw", "adam", "sgd"], "adamw decouples the weight decay")
                    .default("adamw"),
                Param::float("learning_rate", 1e-12, 100.0, "step size").default(1e-4),
                Param::float("weight_decay", 0.0, 100.0, "weight decay").default(0.01),
                Param::float("momentum", 0.0, 1.0, "momentum of sgd").default(0.9),
                Param::int("epochs", "most passes over the training cells").range(1, 1_000_000).default(50),
                Param::int("batch_size", "cells of an optimiser step").range(1, 1 << 20).unit("cells").default(128),
                Param::int(
                    "early_stopping",
                    "stop after so many epochs without a lower loss on the validation cells, and keep the best epoch; 0: train all epochs and keep the best",
                )
                .range(0, 1_000_000)
                .unit("epochs")
                .default(5),
                Param::bool("standardize", "scale features to mean 0 and sd 1, fitted on the training cells of the fold")
                    .default(true),
                Param::choice("class_weight", &["none", "balanced"], "balanced: every class counts the same in the loss")
                    .default("none"),
                Param::text("dataset", "name written into the predictions").default(""),
                Param::int("seed", "seed of initial weights and batch order").default(0),
            ],
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let momentum = params.get("momentum").and_then(Value::as_f64);
        if momentum.is_some_and(|m| m >= 1.0) {
            return vec![("momentum".to_owned(), "must be below 1, or steps grow without end".to_owned())];
        }
        Vec::new()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
