//! What `lora-train` does: one model on the device, one training a fold over it.

use celldag_engine::Step;
use celldag_models::training::LossKind;
use serde_json::json;

use super::fold::train_fold;
use super::kind::Options;
use super::model::Adapted;
use super::tokens::AllTokens;
use crate::embed::embed_cells::default_batch;
use crate::embed::failure::Failure;
use crate::learn::fold::{loss_kind, loss_word, wanted_folds, write_json};
use crate::learn::mlp::{HeadArchitecture, available_memory, check_size, write_heads};
use crate::learn::predictions::Predictions;
use crate::learn::split::{Role, SplitTable};

/// What all folds share.
pub(super) struct Shared<'a> {
    pub(super) step: &'a Step<'a>,
    pub(super) options: &'a Options,
    pub(super) tokens: &'a AllTokens,
    pub(super) classes: &'a [String],
    pub(super) kind: LossKind,
    /// Of the head, from the vectors to the logits.
    pub(super) widths: Vec<usize>,
    /// Tokens embedded at once where nothing is learnt.
    pub(super) batch_tokens: usize,
    /// The most bytes of tensors, where the device has no limit of its own.
    pub(super) memory: Option<u64>,
    pub(super) base_model: String,
    pub(super) fan_in_fan_out: bool,
}

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), Failure> {
    let training = &options.training;
    let split_path = &step.input("split")?.path;
    let split = SplitTable::read(split_path)?;
    let classes = split.classes(split_path)?;
    let kind = loss_kind(&training.loss, classes.len())?;
    let wanted = wanted_folds(&split, training.fold)?;
    let tokens = AllTokens::of_step(step)?;
    let mut adapted = Adapted::load(step, tokens.file(), options)?;
    let info = adapted.loaded.encoder().info().clone();
    let widths: Vec<usize> = std::iter::once(info.dim)
        .chain(training.hidden.iter().copied())
        .chain([kind.outputs(classes.len())])
        .collect();
    let on_host = adapted.device.info().backend == "cpu";
    check_size(&widths, training.moments(), on_host)?;
    let shared = Shared {
        step,
        options,
        tokens: &tokens,
        classes: &classes,
        kind,
        widths: widths.clone(),
        batch_tokens: options.batch_tokens.unwrap_or_else(|| default_batch(&adapted.device, info.widest)),
        memory: if on_host { host_memory(adapted.device.memory().live) } else { None },
        base_model: format!("{} {}", adapted.model.name(), info.variant).trim().to_owned(),
        // What transformers calls Conv1D.
        fan_in_fan_out: adapted.model.name() == "tgpt",
    };
    let cells = wanted.iter().flat_map(|(_, members)| members).filter(|row| row.role == Role::Train).count();
    step.progress.total((cells * training.epochs) as u64, "cells");
    let folder = step.output("adapter")?;
    let (mut heads, mut history, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peak, mut steps, mut seconds) = (0, 0, 0.0);
    for (key @ (repeat, fold), members) in &wanted {
        let folder = folder.join(format!("repeat{repeat}.fold{fold}"));
        let outcome = train_fold(&shared, &mut adapted, (key, members), &folder)?;
        step.fact("adapted_layers", outcome.adapters);
        if outcome.weights > 0 {
            step.fact("trained_weights", outcome.weights);
        }
        step.fact("trained_parameters", outcome.parameters);
        if !outcome.unreached.is_empty() {
            step.fact("layers_not_read", outcome.unreached.join(", "));
        }
        heads.push(outcome.head);
        history.push(outcome.history);
        rows.extend(outcome.predictions);
        peak = outcome.peak.max(peak);
        (steps, seconds) = (steps + outcome.steps, seconds + outcome.seconds);
    }
    step.fact("folds", heads.len());
    step.fact("test_cells", rows.len());
    step.fact("dimensions", info.dim);
    step.fact("variant", info.variant);
    step.execution("peak_memory", peak);
    step.execution("optimiser_steps", steps);
    step.execution("training_seconds", seconds);
    let architecture = HeadArchitecture {
        embedding: format!("X_{}", adapted.model.name()),
        widths,
        activation: "relu".to_owned(),
        loss: loss_word(kind).to_owned(),
    };
    write_heads(step.output("head")?, &classes, &architecture, training.seed, &heads)?;
    Predictions { classes, rows }.write(step.output("predictions")?)?;
    write_json(step.output("history")?, &json!({ "format": "celldag.history/1", "folds": history }))?;
    Ok(())
}

/// What tensors may take of the host's memory: what they have and what is free.
pub(in crate::learn) fn host_memory(live: u64) -> Option<u64> {
    let free = u64::try_from(available_memory()?).ok()?;
    Some(free.saturating_add(live))
}
