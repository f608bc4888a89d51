//! What `mlp-head` does: one training a fold, then scores for the test cells.

use celldag_engine::{NodeError, Outlook, Step};
use celldag_shaders::Device;
use serde_json::{Value, json};

use super::kind::Options;
use super::{
    Embedding, FeatureRows, FoldHead, HeadArchitecture, LossKind, Network, Standardizer, TrainError,
    TrainSettings, TrainingData, check_size, shuffled_epochs, train, write_heads,
};
use crate::learn::failure;
use crate::learn::fold::{
    fold_name, fold_seed, loss_kind, loss_word, objective, predictions, wanted_folds, write_json,
};
use crate::learn::predictions::{Prediction, Predictions};
use crate::learn::split::{SplitRow, SplitTable};

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let split_path = &step.input("split")?.path;
    let split = SplitTable::read(split_path)?;
    let classes = split.classes(split_path)?;
    let embedding = Embedding::of_step(step, options.key.as_deref())?;
    let training = &options.training;
    let kind = loss_kind(&training.loss, classes.len())?;
    let device = open_device(step)?;
    let wanted = wanted_folds(&split, training.fold)?;
    let widths: Vec<usize> = std::iter::once(embedding.dim)
        .chain(training.hidden.iter().copied())
        .chain([kind.outputs(classes.len())])
        .collect();
    embedding.require_finite(wanted.iter().flat_map(|(_, rows)| rows.iter().map(|r| r.cell_id.as_str())))?;
    check_size(&widths, training.moments(), device.info().backend == "cpu")?;
    step.progress.total((wanted.len() * training.epochs) as u64, "epochs");
    let (mut heads, mut history, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for ((repeat, fold), members) in &wanted {
        let run = FoldRun {
            step,
            options,
            device: &device,
            embedding: &embedding,
            classes: &classes,
            kind,
            widths: &widths,
        };
        let (head, curve, predictions) = run.fold(*repeat, *fold, members)?;
        heads.push(head);
        history.push(curve);
        rows.extend(predictions);
    }
    let architecture = HeadArchitecture {
        embedding: embedding.key.clone(),
        widths: widths.clone(),
        activation: "relu".to_owned(),
        loss: loss_word(kind).to_owned(),
    };
    step.fact("folds", heads.len());
    step.fact("test_cells", rows.len());
    step.fact("dimensions", embedding.dim);
    write_heads(step.output("head")?, &classes, &architecture, training.seed, &heads)?;
    Predictions { classes, rows }.write(step.output("predictions")?)?;
    write_json(step.output("history")?, &json!({ "format": "celldag.history/1", "folds": history }))
}

/// A head is small: without a word from the user it stays on the CPU, where batches need no round trip.
fn open_device(step: &Step<'_>) -> Result<Device, NodeError> {
    if step.device != "auto" {
        return crate::device::open(step);
    }
    let device = Device::cpu(step.threads).map_err(|e| NodeError::device(e.to_string()))?;
    let info = device.info();
    step.execution("backend", info.backend);
    step.execution("adapter", info.name.as_str());
    Ok(device)
}

/// What all folds share.
struct FoldRun<'a> {
    step: &'a Step<'a>,
    options: &'a Options,
    device: &'a Device,
    embedding: &'a Embedding,
    classes: &'a [String],
    kind: LossKind,
    widths: &'a [usize],
}

impl FoldRun<'_> {
    fn fold(
        &self,
        repeat: u32,
        fold: u32,
        members: &[&SplitRow],
    ) -> Result<(FoldHead, Value, Vec<Prediction>), NodeError> {
        let name = fold_name(repeat, fold);
        let in_fold = |e: NodeError| NodeError { message: format!("{name}: {}", e.message), ..e };
        let mut data = TrainingData::of_fold(self.embedding, members).map_err(in_fold)?;
        let mut test = FeatureRows::test_of_fold(self.embedding, members).map_err(in_fold)?;
        let standardizer = self.options.standardize.then(|| Standardizer::fit(&data.train().rows));
        if let Some(s) = &standardizer {
            data = data.map(|rows| s.apply(rows));
            s.apply(&mut test);
        }
        let training = &self.options.training;
        let loss = (self.kind, training.is_balanced());
        let objective = objective(self.step, &name, loss, self.classes, &data.train().class);
        let seed = self.seed(repeat, fold, "weights");
        let mut network = Network::new(self.device, self.widths, seed).map_err(failure::device)?;
        let settings = self.settings();
        let order = shuffled_epochs(data.train().class.len(), self.seed(repeat, fold, "order"));
        let after = |_: &super::EpochRecord| {
            self.step.progress.advance(1);
            !self.step.cancel.is_cancelled()
        };
        let trained = train(self.device, &mut network, &data, &objective, &settings, order, after)
            .map_err(|e| in_fold(self.training_failed(e)))?;
        if let Some(divergence) = &trained.divergence {
            self.step.warn(format!(
                "{name}: training stopped: {divergence}; the result is that of epoch {}; a lower `learning_rate` (now {}) or \
                 `standardize: true` may help",
                trained.best_epoch, training.learning_rate
            ));
        }
        self.step.progress.advance((training.epochs - trained.history.len()) as u64);
        let logits = network.logits(self.device, &test.values).map_err(failure::device)?;
        let head = FoldHead {
            repeat,
            fold,
            best_epoch: trained.best_epoch,
            layers: network.values().map_err(failure::device)?,
            standardizer,
        };
        let mut curve = json!({
            "repeat": repeat,
            "fold": fold,
            "best_epoch": trained.best_epoch,
            "training_cells": data.train().class.len(),
            "validation_cells": data.validation().map_or(0, |v| v.class.len()),
            "epochs": trained.history,
        });
        if let Some(divergence) = &trained.divergence {
            curve["diverged"] = json!(divergence);
        }
        let named = (self.classes, training.dataset.as_str());
        Ok((head, curve, predictions(members, &objective, named, &logits)?))
    }

    fn settings(&self) -> TrainSettings {
        let o = &self.options.training;
        TrainSettings {
            epochs: o.epochs,
            batch_size: o.batch_size,
            optimizer: o.optimizer(),
            patience: o.patience(),
        }
    }

    fn seed(&self, repeat: u32, fold: u32, what: &str) -> [u8; 32] {
        fold_seed("celldag mlp-head seed 1", self.options.training.seed, (repeat, fold), what)
    }

    fn training_failed(&self, error: TrainError) -> NodeError {
        match error {
            TrainError::Cancelled => NodeError::new(celldag_engine::FailureCause::Cancelled, "stopped"),
            TrainError::Failed(e) => failure::device(e),
            e @ TrainError::Diverged(_) => {
                NodeError::failed(e.to_string()).outlook(Outlook::Lasting).help(format!(
                    "lower `learning_rate` (now {}), or set `standardize: true`",
                    self.options.training.learning_rate
                ))
            }
        }
    }
}
