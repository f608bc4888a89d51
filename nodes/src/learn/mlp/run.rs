//! What `mlp-head` does: one training a fold, then scores for the test cells.

use std::path::Path;

use celldag_engine::{NodeError, Step};
use celldag_shaders::Device;
use celldag_shaders::ops::{Adam, Sgd};
use serde_json::{Value, json};

use super::kind::Options;
use super::{
    Embedding, FeatureRows, FoldHead, HeadArchitecture, LossKind, Network, Objective, Optimizer,
    Standardizer, TrainError, TrainSettings, TrainingData, shuffled_epochs, train, write_heads,
};
use crate::evaluate::metrics::argmax;
use crate::learn::failure;
use crate::learn::predictions::{Prediction, Predictions};
use crate::learn::split::{Role, SplitRow, SplitTable};

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let split_path = &step.input("split")?.path;
    let split = SplitTable::read(split_path)?;
    let classes = split.classes(split_path)?;
    let embedding = Embedding::read(&step.input("embedding")?.path, options.key.as_deref())?;
    let kind = loss_kind(&options.loss, classes.len())?;
    let device = open_device(step)?;
    let folds = split.folds();
    let wanted: Vec<_> =
        folds.iter().filter(|((_, fold), _)| options.fold.is_none_or(|w| w == *fold)).collect();
    if wanted.is_empty() {
        let known: std::collections::BTreeSet<u32> = folds.keys().map(|(_, f)| *f).collect();
        return Err(NodeError::parameter(format!(
            "the split has no fold {}; its folds are {known:?}",
            options.fold.unwrap_or_default()
        ))
        .help("folds count from 0; take as many as `split` makes"));
    }
    let widths: Vec<usize> = std::iter::once(embedding.dim)
        .chain(options.hidden.iter().copied())
        .chain([kind.outputs(classes.len())])
        .collect();
    embedding.require_finite(wanted.iter().flat_map(|(_, rows)| rows.iter().map(|r| r.cell_id.as_str())))?;
    let copies = match options.optimizer.as_str() {
        "sgd" => 1,
        _ => 2,
    };
    super::size::check(&widths, copies, device.info().backend == "cpu")?;
    step.progress.total((wanted.len() * options.epochs) as u64, "epochs");
    let (mut heads, mut history, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for ((repeat, fold), members) in wanted {
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
    write_heads(step.output("head")?, &classes, &architecture, options.seed, &heads)?;
    Predictions { classes, rows }.write(step.output("predictions")?)?;
    write_json(step.output("history")?, &json!({ "format": "celldag.history/1", "folds": history }))
}

fn write_json(path: &Path, value: &Value) -> Result<(), NodeError> {
    let text = serde_json::to_string_pretty(value).map_err(failure::io)?;
    fs_err::write(path, text + "\n").map_err(failure::io)
}

fn loss_kind(word: &str, classes: usize) -> Result<LossKind, NodeError> {
    match (word, classes) {
        ("auto" | "bce", 2) => Ok(LossKind::Bce),
        ("scdrugmap-two-logit", 2) => Ok(LossKind::TwoLogit),
        ("auto" | "cross-entropy", _) => Ok(LossKind::CrossEntropy),
        (_, n) => Err(NodeError::parameter(format!("`loss: {word}` is for two classes; the split has {n}"))
            .help("set `loss: cross-entropy` or `auto`, or leave classes out of the split")),
    }
}

fn loss_word(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Bce => "bce",
        LossKind::CrossEntropy => "cross-entropy",
        LossKind::TwoLogit => "scdrugmap-two-logit",
    }
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
        let name = if repeat > 0 { format!("repeat {repeat}, fold {fold}") } else { format!("fold {fold}") };
        let in_fold = |e: NodeError| NodeError { message: format!("{name}: {}", e.message), ..e };
        let mut data = TrainingData::of_fold(self.embedding, members).map_err(in_fold)?;
        let mut test = FeatureRows::test_of_fold(self.embedding, members).map_err(in_fold)?;
        let standardizer = self.options.standardize.then(|| Standardizer::fit(&data.train().rows));
        if let Some(s) = &standardizer {
            data = data.map(|rows| s.apply(rows));
            s.apply(&mut test);
        }
        let objective = self.objective(&data, &name);
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
        self.step.progress.advance((self.options.epochs - trained.history.len()) as u64);
        let logits = network.logits(self.device, &test).map_err(failure::device)?;
        let head = FoldHead {
            repeat,
            fold,
            best_epoch: trained.best_epoch,
            layers: network.values().map_err(failure::device)?,
            standardizer,
        };
        let curve = json!({
            "repeat": repeat,
            "fold": fold,
            "best_epoch": trained.best_epoch,
            "training_cells": data.train().class.len(),
            "validation_cells": data.validation().map_or(0, |v| v.class.len()),
            "epochs": trained.history,
        });
        Ok((head, curve, self.predictions(members, &objective, &logits)))
    }

    fn objective(&self, data: &TrainingData, name: &str) -> Objective {
        let present: std::collections::BTreeSet<usize> = data.train().class.iter().copied().collect();
        if present.len() < self.classes.len() {
            let missing: Vec<&str> = (0..self.classes.len())
                .filter(|c| !present.contains(c))
                .map(|c| self.classes[c].as_str())
                .collect();
            self.step.warn(format!(
                "{name}: no training cell is {}; the head cannot learn to predict it",
                missing.join(" or ")
            ));
        }
        if self.options.class_weight == "balanced" {
            Objective::balanced(self.kind, self.classes.len(), &data.train().class)
        } else {
            Objective::new(self.kind, self.classes.len())
        }
    }

    fn settings(&self) -> TrainSettings {
        let o = self.options;
        let adam = Adam { lr: o.learning_rate, weight_decay: o.weight_decay, ..Adam::default() };
        TrainSettings {
            epochs: o.epochs,
            batch_size: o.batch_size,
            optimizer: match o.optimizer.as_str() {
                "adam" => Optimizer::Adam(adam),
                "sgd" => Optimizer::Sgd(Sgd {
                    lr: o.learning_rate,
                    momentum: o.momentum,
                    weight_decay: o.weight_decay,
                }),
                _ => Optimizer::AdamW(adam),
            },
            patience: Some(o.early_stopping).filter(|&p| p > 0),
        }
    }

    fn seed(&self, repeat: u32, fold: u32, what: &str) -> [u8; 32] {
        let mut key = blake3::Hasher::new_derive_key("celldag mlp-head seed 1");
        key.update(&self.options.seed.to_le_bytes());
        key.update(&repeat.to_le_bytes());
        key.update(&fold.to_le_bytes());
        key.update(what.as_bytes());
        *key.finalize().as_bytes()
    }

    fn training_failed(&self, error: TrainError) -> NodeError {
        match error {
            TrainError::Cancelled => NodeError::new(celldag_engine::FailureCause::Cancelled, "stopped"),
            TrainError::Device(e) => failure::device(e),
            e @ TrainError::Diverged { .. } => NodeError::failed(e.to_string()).help(format!(
                "lower `learning_rate` (now {}), or set `standardize: true`",
                self.options.learning_rate
            )),
        }
    }

    /// Joins scores and labels after training; the only place that sees both.
    fn predictions(
        &self,
        members: &[&SplitRow],
        objective: &Objective,
        logits: &[Vec<f32>],
    ) -> Vec<Prediction> {
        let binary = self.classes.len() == 2;
        let tested = members.iter().filter(|r| r.role == Role::Test);
        let row = |(member, logits): (&&SplitRow, &Vec<f32>)| {
            let scores = objective.scores(logits);
            // Two classes: positive from 0.5 on, as metrics have it; argmax would call a tie negative.
            let predicted = if binary { usize::from(scores[1] >= 0.5) } else { argmax(&scores) };
            Prediction {
                cell_id: member.cell_id.clone(),
                dataset: self.options.dataset.clone(),
                group: member.group.clone(),
                repeat: member.repeat,
                fold: member.fold,
                label: member.label.clone(),
                score: if binary { scores[1] } else { scores[predicted] },
                prediction: self.classes[predicted].clone(),
                class_scores: if binary { Vec::new() } else { scores },
                logits: if self.kind == LossKind::TwoLogit {
                    logits.iter().map(|&l| f64::from(l)).collect()
                } else {
                    Vec::new()
                },
            }
        };
        tested.zip(logits).map(row).collect()
    }
}
