//! What of a training is no tensor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::training::progress::{Divergence, EpochRecord, Kept, Progress};

const FORMAT: &str = "celldag.training/1";

/// A number by its bits: decimal text has no infinities, and this is exact without a thought.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Bits(u64);

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(bits: Bits) -> Self {
        Self::from_bits(bits.0)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    format: String,
    of: String,
    epochs: usize,
    batches: usize,
    loss_sum: Bits,
    /// Epoch, loss of training, loss of validation.
    history: Vec<(usize, Bits, Option<Bits>)>,
    best: Option<(usize, Option<Bits>)>,
    divergence: Option<Divergence>,
    pub(super) finished: bool,
    numbers: [BTreeMap<String, u64>; 2],
}

impl Header {
    pub(super) fn new<S>(of: &str, at: &Progress<S>, numbers: [&BTreeMap<String, u64>; 2]) -> Self {
        let epoch = |record: &EpochRecord| {
            (record.epoch, record.train_loss.into(), record.validation_loss.map(Bits::from))
        };
        Self {
            format: FORMAT.to_owned(),
            of: of.to_owned(),
            epochs: at.epochs,
            batches: at.batches,
            loss_sum: at.loss_sum.into(),
            history: at.history.iter().map(epoch).collect(),
            best: at.best.as_ref().map(|kept| (kept.epoch, kept.loss.map(Bits::from))),
            divergence: at.divergence.clone(),
            finished: at.finished,
            numbers: numbers.map(Clone::clone),
        }
    }

    /// Whether this is the training `of`, in this format, and can be gone on with.
    pub(super) fn is_of(&self, of: &str) -> bool {
        let best = self.best.is_none_or(|(epoch, _)| (1..=self.epochs).contains(&epoch));
        self.format == FORMAT && self.of == of && self.history.len() == self.epochs && best
    }

    /// Epoch and loss of the best epoch.
    pub(super) fn best(&self) -> Option<(usize, Option<f64>)> {
        self.best.map(|(epoch, loss)| (epoch, loss.map(f64::from)))
    }

    /// Whole numbers of the learner, and of the best epoch.
    pub(super) fn numbers(&self) -> [BTreeMap<String, u64>; 2] {
        self.numbers.clone()
    }

    pub(super) fn progress<S>(self, batch_losses: Vec<f64>, best: Option<Kept<S>>) -> Progress<S> {
        let record = |(epoch, train_loss, validation_loss): (usize, Bits, Option<Bits>)| EpochRecord {
            epoch,
            train_loss: train_loss.into(),
            validation_loss: validation_loss.map(f64::from),
        };
        Progress {
            epochs: self.epochs,
            batches: self.batches,
            loss_sum: self.loss_sum.into(),
            history: self.history.into_iter().map(record).collect(),
            batch_losses,
            best,
            divergence: self.divergence,
            finished: self.finished,
        }
    }
}
