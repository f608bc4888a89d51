//! One fold: training, scores of the test cells, and what is kept.

use std::path::Path;

use celldag_engine::NodeError;
use celldag_models::training::{
    FineTuning, FitSettings, Network, Trained, TuningSettings, balanced_epochs, shuffled_epochs,
};
use celldag_models::{Batch, PeftAdapter};
use serde_json::{Value, json};

use super::data::{TestCells, TrainingCells};
use super::learner::{Tuned, Vectors};
use super::model::Adapted;
use super::run::Shared;
use crate::embed::failure::Failure;
use crate::learn::failure;
use crate::learn::fold::{fold_name, fold_seed, objective, predictions};
use crate::learn::mlp::FoldHead;
use crate::learn::params::schedule;
use crate::learn::predictions::Prediction;
use crate::learn::resumed::{Keeper, Run};
use crate::learn::split::SplitRow;

/// What a fold gives.
pub(super) struct Outcome {
    pub(super) head: FoldHead,
    pub(super) history: Value,
    pub(super) predictions: Vec<Prediction>,
    /// Layers whose adapters were trained, tensors that were trained as a whole, and values of all and the head together.
    pub(super) adapters: usize,
    pub(super) weights: usize,
    pub(super) parameters: usize,
    /// Layers that the readout does not depend on.
    pub(super) unreached: Vec<String>,
    pub(super) peak: u64,
    /// Optimiser steps of this attempt, and the seconds they took, losses of validation cells included.
    pub(super) steps: usize,
    pub(super) seconds: f64,
}

/// Trains one fold and writes its adapter into `folder`.
pub(super) fn train_fold(
    shared: &Shared<'_>,
    adapted: &mut Adapted<'_>,
    ((repeat, fold), members): (&(u32, u32), &[&SplitRow]),
    folder: &Path,
) -> Result<Outcome, Failure> {
    let Shared { step, options, tokens, classes, .. } = *shared;
    let name = fold_name(*repeat, *fold);
    let in_fold = |e: NodeError| NodeError { message: format!("{name}: {}", e.message), ..e };
    let data = TrainingCells::of_fold(&tokens.index, members).map_err(in_fold)?;
    let test = TestCells::of_fold(&tokens.index, members).map_err(in_fold)?;
    let loss = (shared.kind, options.training.is_balanced());
    let objective = objective(step, &name, loss, classes, &data.train().class);
    let seed = |purpose: &str| {
        fold_seed("celldag lora-train seed 1", options.training.seed, (*repeat, *fold), purpose)
    };
    let layers = adapted.restart(&seed("adapters"))?;
    let head = Network::new(&adapted.device, &shared.widths, seed("weights")).map_err(failure::device)?;
    let settings = tuning_settings(shared, &seed("dropout"));
    let dropout = adapted.dropout.clone();
    let tuning = FineTuning::new(&adapted.device, (layers, dropout), head, objective, settings);
    let vectors =
        Vectors { tokens, batch_tokens: shared.batch_tokens, stop: &|| Ok(step.check_cancelled()?) };
    let mut tuned = Tuned { tuning, loaded: &mut adapted.loaded, vectors, data: &data, options };
    let unreached = leave_out_unreached(&mut tuned)?;
    let keeper = Keeper::new(step, &adapted.device, "lora-train", Some((*repeat, *fold)));
    let Run { trained, steps, seconds } = trained(shared, &mut tuned, &keeper, seed("order"))?;
    if let Some(divergence) = &trained.divergence {
        step.warn(format!(
            "{name}: training stopped: {divergence}; the result is that of epoch {}; a lower `learning_rate` (now {}) or \
             `clip: 1` may help",
            trained.best_epoch, options.training.learning_rate
        ));
    }
    let of_test = vectors.of(tuned.loaded, &test.rows)?;
    require_finite(&of_test, &test, shared.widths[0])?;
    let tuning = tuned.tuning;
    let logits = tuning.head().logits(&adapted.device, &of_test).map_err(failure::device)?;
    let layers = tuning.adapters()?;
    let (adapters, weights) = (layers.len(), tuning.layers().len() - layers.len());
    PeftAdapter {
        layers: layers.into_iter().collect(),
        rank: options.rank,
        alpha: options.alpha,
        dropout: options.dropout,
        base_model: Some(shared.base_model.clone()),
        fan_in_fan_out: shared.fan_in_fan_out,
        saved: tuning.weights()?,
    }
    .write(folder)
    .map_err(failure::io)?;
    Ok(Outcome {
        head: FoldHead {
            repeat: *repeat,
            fold: *fold,
            best_epoch: trained.best_epoch,
            layers: tuning.head().values().map_err(failure::device)?,
            standardizer: None,
        },
        history: history((*repeat, *fold), &trained, &data),
        predictions: predictions(members, tuning.objective(), (classes, &options.training.dataset), &logits)?,
        adapters,
        weights,
        parameters: tuning.parameters().map(|parameter| parameter.value().len()).sum(),
        unreached,
        peak: tuning.peak().max(adapted.loaded.peak()),
        steps,
        seconds,
    })
}

fn tuning_settings(shared: &Shared<'_>, seed: &[u8; 32]) -> TuningSettings {
    let options = shared.options;
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = *seed;
    TuningSettings {
        optimizer: options.training.optimizer(),
        clip: options.clip,
        parts: options.accumulation,
        dropout: options.dropout as f32,
        seed: u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
        memory: shared.memory,
        recompute: options.recompute,
    }
}

/// Runs the loop.
fn trained(
    shared: &Shared<'_>,
    tuned: &mut Tuned<'_, '_>,
    keeper: &Keeper<'_>,
    order: [u8; 32],
) -> Result<Run, Failure> {
    let options = shared.options;
    let training = &options.training;
    let settings = FitSettings {
        epochs: training.epochs,
        batch_size: training.batch_size,
        patience: training.patience(),
        schedule: schedule(&options.schedule, options.warmup),
    };
    let class = &tuned.data.train().class;
    let cells = class.len();
    let mut balanced = balanced_epochs(class, order);
    let mut shuffled = shuffled_epochs(cells, order);
    let order = |epoch| if options.sampling == "balanced" { balanced(epoch) } else { shuffled(epoch) };
    let runaway = format!("lower `learning_rate` (now {}), or set `clip: 1`", training.learning_rate);
    keeper.train(tuned, &settings, cells, order, runaway)
}

/// Drops layers that no vector of a batch depends on: a model may pass over a part for a cell that has nothing for it. A run
/// without any layer would be a head on frozen vectors under another name.
fn leave_out_unreached(tuned: &mut Tuned<'_, '_>) -> Result<Vec<String>, Failure> {
    let rows = &tuned.data.train().rows;
    let rows = &rows[..rows.len().min(tuned.options.training.batch_size)];
    let cells = tuned.vectors.read(rows)?;
    let batch = Batch { cells: &cells, neighbourhoods: &vec![1; cells.len()] };
    let unreached = tuned.tuning.drop_unreached(tuned.loaded.encoder(), batch)?;
    if tuned.tuning.layers().is_empty() {
        return Err(NodeError::parameter(format!(
            "no vector depends on {}: what is read lies before these layers",
            unreached.join(", ")
        ))
        .help("choose other `targets` or `train`, or read a later `layer`")
        .into());
    }
    Ok(unreached)
}

fn require_finite(vectors: &[f32], cells: &TestCells, dim: usize) -> Result<(), NodeError> {
    let rows = vectors.chunks_exact(dim.max(1)).zip(&cells.names);
    match rows.into_iter().find(|(row, _)| row.iter().any(|value| !value.is_finite())) {
        None => Ok(()),
        Some((_, name)) => Err(NodeError::failed(format!("the vector of test cell `{name}` is not finite"))
            .help("the weights may be damaged")),
    }
}

fn history((repeat, fold): (u32, u32), trained: &Trained, data: &TrainingCells) -> Value {
    let mut curve = json!({
        "repeat": repeat,
        "fold": fold,
        "best_epoch": trained.best_epoch,
        "training_cells": data.train().rows.len(),
        "validation_cells": data.validation().rows.len(),
        "epochs": trained.history,
    });
    if let Some(divergence) = &trained.divergence {
        curve["diverged"] = json!(divergence);
    }
    curve
}
