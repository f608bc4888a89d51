//! What `pretrain` does: tokens of all cells, a training, and the folder of a model.

use std::path::Path;

use celldag_engine::{NodeError, Step};
use celldag_models::pretraining::{FIRST_GENE, Frequencies, MASK, MaskEpoch, Masking, serialized};
use celldag_models::training::{FitSettings, Trained, shuffled_epochs};
use celldag_shaders::{Device, Precision};
use serde_json::{Value, json};

use super::card::{Card, Losses};
use super::cells::{NamedCell, PretrainCells};
use super::kind::Options;
use super::learner::MaskedCells;
use super::model::{seed, start};
use crate::device;
use crate::embed::embed_cells::default_batch;
use crate::embed::failure::Failure;
use crate::learn::failure;
use crate::learn::fold::write_json;
use crate::learn::params::schedule;
use crate::learn::resumed::Keeper;

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), Failure> {
    let precision: Precision =
        options.precision.parse().map_err(|e| NodeError::parameter(format!("precision: {e}")))?;
    let device = device::open_in(step, precision)?;
    let folder = step.output("checkpoint")?;
    fs_err::create_dir_all(folder).map_err(failure::io)?;
    let cells = PretrainCells::read(step, options, folder)?;
    let (training, parameters) = start(options, &device, cells.vocabulary)?;
    step.fact("genes", cells.vocabulary - FIRST_GENE as usize);
    step.fact("parameters", parameters);
    step.fact("training_cells", cells.train.len());
    step.fact("validation_cells", cells.validation.len());
    // Of one token: its share of hidden genes has a logit for every token of the vocabulary.
    let widest = (options.mask_probability * cells.vocabulary as f64).ceil() as usize;
    let widest = widest.max(options.feedforward).max(options.hidden);
    let mut learner = MaskedCells {
        training,
        cells: &cells,
        masking: Masking {
            probability: options.mask_probability,
            mask: MASK,
            first_gene: FIRST_GENE,
            vocabulary: u32::try_from(cells.vocabulary).unwrap_or(u32::MAX),
        },
        seed: options.seed,
        batch: [options.batch_size, options.accumulation],
        batches: cells.train.len().div_ceil(options.batch_size) as u64,
        batch_tokens: options.batch_tokens.unwrap_or_else(|| default_batch(&device, widest)),
        stop: &|| Ok(step.check_cancelled()?),
    };
    let frequencies = frequencies(&learner)?;
    step.progress.total((cells.train.len() * options.epochs) as u64, "cells");
    let trained = trained(step, options, &device, &mut learner)?;
    let losses = Losses { trained: &trained, frequencies };
    report(step, options, &losses);
    step.execution("peak_memory", learner.training.peak());
    let history = history(&losses, &cells);
    write_json(step.output("history")?, &history)?;
    write_json(&folder.join("training.json"), &history)?;
    write(folder, "model.safetensors", &serialized(&learner.training.tensors()?)?)?;
    let card = Card { options, cells: &cells, parameters, losses: &losses };
    let inputs = (step.gathered("cells"), step.input("dictionaries")?);
    write(folder, "README.md", card.text(inputs).as_bytes())?;
    Ok(())
}

fn trained(
    step: &Step<'_>,
    options: &Options,
    device: &Device,
    learner: &mut MaskedCells<'_>,
) -> Result<Trained, Failure> {
    let settings = FitSettings {
        epochs: options.epochs,
        batch_size: options.batch_size,
        patience: Some(options.early_stopping).filter(|&patience| patience > 0),
        schedule: schedule(&options.schedule, options.warmup),
    };
    let cells = learner.cells.train.len();
    let order = shuffled_epochs(cells, seed(options.seed, "order"));
    let keeper = Keeper::new(step, device, "pretrain", None);
    let runaway =
        format!("lower `learning_rate` (now {}), or set `clip: 1` and a `warmup`", options.learning_rate);
    Ok(keeper.train(learner, &settings, cells, order, runaway)?.trained)
}

/// What gene frequencies alone lose on the hidden genes of the first epoch, and of the validation cells.
fn frequencies(learner: &MaskedCells<'_>) -> Result<[Option<f64>; 2], Failure> {
    let PretrainCells { train, validation, vocabulary, .. } = learner.cells;
    let mut frequencies = Frequencies::new(*vocabulary);
    for cell in train {
        frequencies.add(&learner.cells.ids(cell)?);
    }
    let of = |cells: &[NamedCell], epoch| -> Result<Option<f64>, Failure> {
        let mut labels = Vec::new();
        for cell in cells {
            labels.extend(learner.hide(cell, epoch)?.labels);
        }
        Ok(frequencies.cross_entropy(labels))
    };
    Ok([of(train, MaskEpoch::Training(0))?, of(validation, MaskEpoch::Validation)?])
}

fn report(step: &Step<'_>, options: &Options, losses: &Losses<'_>) {
    let trained = losses.trained;
    step.fact("steps", trained.batch_losses.len());
    step.fact("best_epoch", trained.best_epoch);
    let (name, loss, baseline) = losses.last();
    step.fact(&format!("{name}_loss"), loss);
    step.fact(&format!("{name}_loss_of_gene_frequencies"), baseline);
    if let Some(divergence) = &trained.divergence {
        step.warn(format!(
            "training stopped: {divergence}; the result is that of epoch {}; a lower `learning_rate` (now {}) may help",
            trained.best_epoch, options.learning_rate
        ));
    }
    if let Some((loss, baseline)) = losses.learnt_nothing() {
        step.warn(format!(
            "the validation loss of {loss:.3} is not below the {baseline:.3} of gene frequencies alone: the model has learnt nothing \
             about cells"
        ));
    }
}

fn history(losses: &Losses<'_>, cells: &PretrainCells) -> Value {
    let trained = losses.trained;
    let [training, validation] = losses.frequencies;
    let mut history = json!({
        "format": "celldag.pretraining/1",
        "loss": "cross entropy of hidden genes, nats; of a training epoch the mean over its batches, each before its update",
        "training_cells": cells.train.len(),
        "validation_cells": cells.validation.len(),
        "steps": trained.batch_losses.len(),
        "best_epoch": trained.best_epoch,
        "gene_frequencies": { "train_loss": training, "validation_loss": validation },
        "epochs": trained.history,
        "step_losses": trained.batch_losses,
    });
    if let Some(divergence) = &trained.divergence {
        history["diverged"] = json!(divergence);
    }
    history
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), NodeError> {
    fs_err::write(folder.join(name), bytes).map_err(failure::io)
}
