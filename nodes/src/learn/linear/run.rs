//! What `linear-head` does: one fit a fold, then scores for the test cells.

use celldag_engine::{NodeError, Step};
use celldag_models::training::LossKind;
use serde_json::json;

use super::fit::{Probe, fit_probe};
use super::kind::Options;
use crate::learn::fold::{fold_name, loss_word, objective, predictions, wanted_folds, write_json};
use crate::learn::mlp::{
    Embedding, FeatureRows, FoldHead, HeadArchitecture, Standardizer, TrainingData, write_heads,
};
use crate::learn::predictions::Predictions;
use crate::learn::split::SplitTable;

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let split_path = &step.input("split")?.path;
    let split = SplitTable::read(split_path)?;
    let classes = split.classes(split_path)?;
    let embedding = Embedding::of_step(step, options.key.as_deref())?;
    let loss = if classes.len() == 2 { LossKind::Bce } else { LossKind::CrossEntropy };
    let wanted = wanted_folds(&split, options.fold)?;
    embedding.require_finite(wanted.iter().flat_map(|(_, rows)| rows.iter().map(|r| r.cell_id.as_str())))?;
    step.progress.total(wanted.len() as u64, "folds");
    let (mut heads, mut history, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for ((repeat, fold), members) in &wanted {
        step.check_cancelled()?;
        let name = fold_name(*repeat, *fold);
        let in_fold = |e: NodeError| NodeError { message: format!("{name}: {}", e.message), ..e };
        let mut data = TrainingData::of_fold(&embedding, members).map_err(in_fold)?;
        let mut test = FeatureRows::test_of_fold(&embedding, members).map_err(in_fold)?;
        let standardizer = options.standardize.then(|| Standardizer::fit(&data.train().rows));
        if let Some(s) = &standardizer {
            data = data.map(|rows| s.apply(rows));
            s.apply(&mut test);
        }
        let balanced = options.class_weight == "balanced";
        let objective = objective(step, &name, (loss, balanced), &classes, &data.train().class);
        let probe = fit_probe(&data, classes.len(), &options.c, balanced).map_err(in_fold)?;
        if !probe.tried[probe.best].converged {
            step.warn(format!(
                "{name}: the fit with c = {} stopped before its optimum; a smaller `c` or `standardize: true` helps",
                probe.tried[probe.best].c
            ));
        }
        let logits = probe.logits(&test);
        let Probe { weight, bias, tried, best, .. } = probe;
        history.push(json!({
            "repeat": repeat,
            "fold": fold,
            "c": tried[best].c,
            "training_cells": data.train().class.len(),
            "validation_cells": data.validation().map_or(0, |v| v.class.len()),
            "tried": tried,
        }));
        rows.extend(predictions(members, &objective, (&classes, &options.dataset), &logits)?);
        heads.push(FoldHead {
            repeat: *repeat,
            fold: *fold,
            best_epoch: 1,
            layers: vec![(weight, bias)],
            standardizer,
        });
        step.progress.advance(1);
    }
    let architecture = HeadArchitecture {
        embedding: embedding.key.clone(),
        widths: vec![embedding.dim, loss.outputs(classes.len())],
        activation: "none".to_owned(),
        loss: loss_word(loss).to_owned(),
    };
    step.fact("folds", heads.len());
    step.fact("test_cells", rows.len());
    step.fact("dimensions", embedding.dim);
    // Nothing is drawn: the seed of a linear head is always 0.
    write_heads(step.output("head")?, &classes, &architecture, 0, &heads)?;
    Predictions { classes, rows }.write(step.output("predictions")?)?;
    write_json(step.output("history")?, &json!({ "format": "celldag.history/1", "folds": history }))
}
