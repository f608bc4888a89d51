//! Where a training is, and what came out of it.

use serde::{Deserialize, Serialize};

/// Losses of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the batches, each before its update, weighted by cells.
    pub train_loss: f64,
    /// Loss of the validation cells after the epoch.
    pub validation_loss: Option<f64>,
}

/// The batch at which training stopped because a number was none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Batch in the epoch, from 1.
    pub batch: usize,
    /// What was not finite: the loss, the norm of the gradient, or the loss of the validation cells.
    pub what: String,
    /// A few cells of the batch; empty for the validation cells.
    pub cells: String,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, batch, what, cells } = self;
        if cells.is_empty() {
            write!(f, "{what} after epoch {epoch}")
        } else {
            write!(f, "{what} in epoch {epoch}, batch {batch} (cells {cells})")
        }
    }
}

/// What came out of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Losses by epoch.
    pub history: Vec<EpochRecord>,
    /// The epoch whose state the learner has, from 1.
    pub best_epoch: usize,
    /// Loss of every batch before its update, in order.
    pub batch_losses: Vec<f64>,
    /// Where training stopped, if it was because of a number that is none: the state is that of `best_epoch`, which was
    /// complete before.
    pub divergence: Option<Divergence>,
}

/// A complete epoch to go back to.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<S> {
    /// Loss of the validation cells, if there are any.
    pub loss: Option<f64>,
    /// The epoch, from 1.
    pub epoch: usize,
    /// What the learner was then.
    pub state: S,
}

/// How far a training is. With the state that the learner has then, this is all that is needed to go on as if there had been
/// no interruption.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<S> {
    /// Complete epochs.
    pub epochs: usize,
    /// Batches that were learnt from in the epoch after them.
    pub batches: usize,
    /// Sum over these batches of their loss times their cells.
    pub loss_sum: f64,
    /// Losses of the complete epochs.
    pub history: Vec<EpochRecord>,
    /// Loss of every batch before its update, in order.
    pub batch_losses: Vec<f64>,
    /// The best epoch so far.
    pub best: Option<Kept<S>>,
    /// Where training stopped because of a number that is none.
    pub divergence: Option<Divergence>,
    /// Nothing is left to be trained; the result is the best epoch.
    pub finished: bool,
}

impl<S> Default for Progress<S> {
    /// Nothing was learnt yet.
    fn default() -> Self {
        Self {
            epochs: 0,
            batches: 0,
            loss_sum: 0.0,
            history: Vec::new(),
            batch_losses: Vec::new(),
            best: None,
            divergence: None,
            finished: false,
        }
    }
}

impl<S> Progress<S> {
    /// Cells that were learnt from, each time counted, when an epoch has so many cells and a batch so many.
    #[must_use]
    pub fn cells(&self, of_epoch: usize, batch_size: usize) -> usize {
        self.epochs * of_epoch + (self.batches * batch_size).min(of_epoch)
    }

    /// What has come out so far.
    pub(super) fn trained(&self) -> Trained {
        Trained {
            history: self.history.clone(),
            best_epoch: self.best.as_ref().map_or(0, |kept| kept.epoch),
            batch_losses: self.batch_losses.clone(),
            divergence: self.divergence.clone(),
        }
    }
}
