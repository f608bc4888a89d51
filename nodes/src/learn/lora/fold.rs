//! One fold: training, scores of the test cells, and what is kept.

use std::path::Path;

use celldag_engine::{FailureCause, NodeError};
use celldag_models::training::{
    EpochRecord, Event, FineTuning, FitSettings, Network, Schedule, TrainError, Trained, TuningSettings,
    balanced_epochs, fit, shuffled_epochs,
};
use celldag_models::{Batch, PeftAdapter};
use serde_json::{Value, json};

use super::data::{TestCells, TrainingCells};
use super::learner::{Tuned, Vectors};
use super::model::Adapted;
use super::run::Shared;
use crate::embed::failure::Failure;
use crate::learn::failure;
use crate::learn::fold::{fold_name, fold_seed, objective, optimizer, predictions};
use crate::learn::mlp::FoldHead;
use crate::learn::predictions::Prediction;
use crate::learn::split::SplitRow;

/// What a fold gives.
pub(super) struct Outcome {
    pub(super) head: FoldHead,
    pub(super) history: Value,
    pub(super) predictions: Vec<Prediction>,
    /// Layers whose adapters were trained, and values of adapters and head together.
    pub(super) layers: usize,
    pub(super) parameters: usize,
    /// Layers that the readout does not depend on.
    pub(super) unreached: Vec<String>,
    pub(super) peak: u64,
    pub(super) halved: u64,
}

/// Trains one fold and writes its adapter into `folder`.
pub(super) fn train_fold(
    shared: &Shared<'_>,
    adapted: &mut Adapted<'_>,
    ((repeat, fold), members): (&(u32, u32), &[&SplitRow]),
    folder: &Path,
) -> Result<Outcome, Failure> {
    let Shared { step, options, index, tokens, classes, .. } = *shared;
    let name = fold_name(*repeat, *fold);
    let in_fold = |e: NodeError| NodeError { message: format!("{name}: {}", e.message), ..e };
    let data = TrainingCells::of_fold(index, members).map_err(in_fold)?;
    let test = TestCells::of_fold(index, members).map_err(in_fold)?;
    let loss = (shared.kind, options.class_weight == "balanced");
    let objective = objective(step, &name, loss, classes, &data.train().class);
    let seed =
        |purpose: &str| fold_seed("celldag lora-train seed 1", options.seed, (*repeat, *fold), purpose);
    let layers = adapted.restart(&seed("adapters"))?;
    let head = Network::new(&adapted.device, &shared.widths, seed("weights")).map_err(failure::device)?;
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = seed("dropout");
    let settings = TuningSettings {
        optimizer: optimizer(
            &options.optimizer,
            options.learning_rate,
            options.weight_decay,
            options.momentum,
        ),
        clip: options.clip,
        parts: options.accumulation,
        dropout: options.dropout as f32,
        seed: u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
        memory: shared.memory,
        recompute: options.recompute,
    };
    let dropout = adapted.dropout.clone();
    let tuning = FineTuning::new(&adapted.device, (layers, dropout), head, objective, settings);
    let vectors =
        Vectors { tokens, index, batch_tokens: shared.batch_tokens, stop: &|| Ok(step.check_cancelled()?) };
    let mut tuned = Tuned { tuning, loaded: &mut adapted.loaded, vectors, data: &data };
    let unreached = leave_out_unreached(&mut tuned)?;
    let trained = trained(shared, &mut tuned, seed("order"))?;
    if let Some(divergence) = &trained.divergence {
        step.warn(format!(
            "{name}: training stopped: {divergence}; the result is that of epoch {}; a lower `learning_rate` (now {}) or \
             `clip: 1` may help",
            trained.best_epoch, options.learning_rate
        ));
    }
    let of_test = vectors.of(tuned.loaded, &test.rows)?;
    require_finite(&of_test, &test, shared.widths[0])?;
    let tuning = tuned.tuning;
    let logits = tuning.head().logits(&adapted.device, &of_test).map_err(failure::device)?;
    let layers = tuning.adapters()?;
    let parameters = layers.iter().map(|(_, layer)| layer.a.len() + layer.b.len()).sum::<usize>()
        + shared.widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum::<usize>();
    let count = layers.len();
    PeftAdapter {
        layers: layers.into_iter().collect(),
        rank: options.rank,
        alpha: options.alpha,
        dropout: options.dropout,
        base_model: Some(shared.base_model.clone()),
        fan_in_fan_out: shared.fan_in_fan_out,
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
        predictions: predictions(members, tuning.objective(), (classes, &options.dataset), &logits)?,
        layers: count,
        parameters,
        unreached,
        peak: tuning.peak().max(adapted.loaded.peak()),
        halved: tuning.halved(),
    })
}

/// Runs the loop.
fn trained(shared: &Shared<'_>, tuned: &mut Tuned<'_, '_>, order: [u8; 32]) -> Result<Trained, Failure> {
    let Shared { step, options, .. } = *shared;
    let warmup = options.warmup;
    let settings = FitSettings {
        epochs: options.epochs,
        batch_size: options.batch_size,
        patience: Some(options.early_stopping).filter(|&patience| patience > 0),
        schedule: match options.schedule.as_str() {
            "linear" => Schedule::Linear { warmup },
            "cosine" => Schedule::Cosine { warmup },
            _ if warmup > 0.0 => Schedule::WarmUp { warmup },
            _ => Schedule::Constant,
        },
    };
    let class = &tuned.data.train().class;
    let cells = class.len();
    let mut balanced = balanced_epochs(class, order);
    let mut shuffled = shuffled_epochs(cells, order);
    let order = |epoch| if options.sampling == "balanced" { balanced(epoch) } else { shuffled(epoch) };
    let watch = |event: Event<'_>| {
        if let Event::Batch(cells) = event {
            step.progress.advance(cells as u64);
        }
        !step.cancel.is_cancelled()
    };
    let trained = fit(tuned, &settings, order, watch).map_err(|error| match error {
        TrainError::Failed(failure) => failure,
        TrainError::Cancelled => NodeError::new(FailureCause::Cancelled, "stopped").into(),
        TrainError::Diverged(_) => NodeError::failed(error.to_string())
            .help(format!("lower `learning_rate` (now {}), or set `clip: 1`", options.learning_rate))
            .into(),
    })?;
    let left = options.epochs.saturating_sub(trained.history.len()) * cells;
    step.progress.advance(left as u64);
    Ok(trained)
}

/// Drops adapters that no vector depends on. A run without any would be a head on frozen vectors under another name.
fn leave_out_unreached(tuned: &mut Tuned<'_, '_>) -> Result<Vec<String>, Failure> {
    let cell = tuned.vectors.read(&tuned.data.train().rows[..1])?;
    let batch = Batch { cells: &cell, neighbourhoods: &[1] };
    let unreached = tuned.tuning.drop_unreached(tuned.loaded.encoder(), batch)?;
    if tuned.tuning.layers() == 0 {
        return Err(NodeError::parameter(format!(
            "no vector depends on an adapter of {}: what is read lies before these layers",
            unreached.join(", ")
        ))
        .help("choose other `targets`, or read a later `layer`")
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
    let epochs: &[EpochRecord] = &trained.history;
    let mut curve = json!({
        "repeat": repeat,
        "fold": fold,
        "best_epoch": trained.best_epoch,
        "training_cells": data.train().rows.len(),
        "validation_cells": data.validation().rows.len(),
        "epochs": epochs,
    });
    if let Some(divergence) = &trained.divergence {
        curve["diverged"] = json!(divergence);
    }
    curve
}
