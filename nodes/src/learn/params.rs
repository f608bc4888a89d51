//! Parameters that the kinds which train by gradients have in common.

use celldag_engine::{Param, ParamType, Params};
use celldag_models::training::{Optimizer, Schedule};
use celldag_shaders::ops::{Adam, Sgd};
use serde::Deserialize;
use serde_json::{Value, json};

/// What these parameters say.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Training {
    pub(super) fold: Option<u32>,
    pub(super) hidden: Vec<usize>,
    pub(super) loss: String,
    pub(super) class_weight: String,
    pub(super) optimizer: String,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
    pub(super) momentum: f64,
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) early_stopping: usize,
    pub(super) dataset: String,
    pub(super) seed: u64,
}

impl Training {
    /// The optimiser.
    pub(super) fn optimizer(&self) -> Optimizer {
        let Self { learning_rate: lr, weight_decay, momentum, .. } = *self;
        let adam = Adam { lr, weight_decay, ..Adam::default() };
        match self.optimizer.as_str() {
            "adam" => Optimizer::Adam(adam),
            "sgd" => Optimizer::Sgd(Sgd { lr, momentum, weight_decay }),
            _ => Optimizer::AdamW(adam),
        }
    }

    /// Values that the optimiser keeps of each parameter.
    pub(super) fn moments(&self) -> u128 {
        if self.optimizer == "sgd" { 1 } else { 2 }
    }

    /// Epochs without a lower loss after which training stops.
    pub(super) fn patience(&self) -> Option<usize> {
        Some(self.early_stopping).filter(|&patience| patience > 0)
    }

    /// Whether every class counts the same in the loss.
    pub(super) fn is_balanced(&self) -> bool {
        self.class_weight == "balanced"
    }
}

/// The schedule of the words of the parameter `schedule` with a share of all steps that warm up.
pub(super) fn schedule(word: &str, warmup: f64) -> Schedule {
    match word {
        "linear" => Schedule::Linear { warmup },
        "cosine" => Schedule::Cosine { warmup },
        _ if warmup > 0.0 => Schedule::WarmUp { warmup },
        _ => Schedule::Constant,
    }
}

/// Defaults that differ between kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    pub(super) epochs: i64,
    pub(super) batch_size: i64,
    pub(super) early_stopping: i64,
    /// What the seed is for.
    pub(super) seed: &'static str,
}

/// The parameters of [`Training`].
pub(super) fn training(usual: Usual) -> Vec<Param> {
    vec![
        Param::int("fold", "train this fold only; default: all").range(0, 100_000).optional(),
        Param::list("hidden", ParamType::Int { min: 1, max: 1 << 20 }, "widths of the head's hidden layers (ReLU)")
            .unit("units")
            .default(json!([512, 512])),
        Param::choice(
            "loss",
            &["auto", "bce", "cross-entropy", "scdrugmap-two-logit"],
            "auto: bce (one logit) for two classes, else cross-entropy; scdrugmap-two-logit: as that code does",
        )
        .default("auto"),
        Param::choice("class_weight", &["none", "balanced"], "balanced: every class counts the same in the loss")
            .default("none"),
        Param::choice("optimizer", &["adamw", "adam", "sgd"], "adamw decouples the weight decay").default("adamw"),
        Param::float("learning_rate", 1e-12, 100.0, "step size").default(1e-4),
        Param::float("weight_decay", 0.0, 100.0, "weight decay").default(0.01),
        Param::float("momentum", 0.0, 1.0, "momentum of sgd").default(0.9),
        Param::int("epochs", "most passes over the training cells").range(1, 1_000_000).default(usual.epochs),
        Param::int("batch_size", "cells of an optimiser step")
            .range(1, 1 << 20)
            .unit("cells")
            .default(usual.batch_size),
        Param::int(
            "early_stopping",
            "stop after so many epochs without a lower loss on the validation cells, and keep the best epoch; 0: train all epochs and keep the best",
        )
        .range(0, 1_000_000)
        .unit("epochs")
        .default(usual.early_stopping),
        Param::text("dataset", "name written into the predictions").default(""),
        Param::int("seed", usual.seed).default(0),
    ]
}

/// What is wrong with the values of [`training`].
pub(super) fn check(params: &Params) -> Vec<(String, String)> {
    below_one(params, "momentum", "steps grow without end").into_iter().collect()
}

/// Refuses a share that is 1. Kernels compute with f32, where a number just below 1 is 1 as well.
pub(super) fn below_one(params: &Params, name: &str, why: &str) -> Option<(String, String)> {
    let value = params.get(name).and_then(Value::as_f64)?;
    (value as f32 >= 1.0).then(|| {
        let what = if value >= 1.0 { "must be below 1" } else { "is 1 in single precision; make it smaller" };
        (name.to_owned(), format!("{what}, or {why}"))
    })
}
