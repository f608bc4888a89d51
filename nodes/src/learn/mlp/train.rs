//! The training loop: batches, optimiser steps, early stopping on validation cells.

use celldag_shaders::ops::{Adam, Parameter, Sgd, adam, adamw, sgd_momentum};
use celldag_shaders::{Device, Error as DeviceError, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::data::{FeatureRows, LabelledRows, TrainingData};
use super::network::Network;
use super::objective::Objective;

/// Rows of a forward pass without gradients; does not change results.
const FORWARD_ROWS: usize = 1024;

/// An optimiser with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam, weight decay in the gradient.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(Adam),
    /// Gradient descent with momentum.
    Sgd(Sgd),
}

impl Optimizer {
    fn step(&self, parameter: &mut Parameter, gradient: &Tensor) -> celldag_shaders::Result<()> {
        match self {
            Self::Adam(settings) => adam(parameter, gradient, settings),
            Self::AdamW(settings) => adamw(parameter, gradient, settings),
            Self::Sgd(settings) => sgd_momentum(parameter, gradient, settings),
        }
    }
}

/// How to train.
#[derive(Clone, Debug)]
pub struct TrainSettings {
    /// Most epochs.
    pub epochs: usize,
    /// Cells of an optimiser step; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Stop after so many epochs without a lower validation loss; `None` never stops early.
    pub patience: Option<usize>,
}

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

/// What came out of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Losses by epoch.
    pub history: Vec<EpochRecord>,
    /// The epoch whose weights the network holds, from 1.
    pub best_epoch: usize,
    /// Loss of every batch before its update, in order.
    pub batch_losses: Vec<f64>,
}

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss of a batch is NaN or infinite. The network still holds the weights from before that batch.
    #[error(
        "the loss became {loss} in epoch {epoch}, batch {batch} (cells {cells}); the weights of the batch before are kept"
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Batch in the epoch, from 1.
        batch: usize,
        /// The loss.
        loss: f64,
        /// A few cells of the batch.
        cells: String,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Somebody asked to stop.
    #[error("stopped")]
    Cancelled,
}

/// The epoch with the lowest validation loss so far.
struct Best {
    loss: f64,
    epoch: usize,
    weights: Vec<(Tensor, Tensor)>,
}

/// Trains `network`; afterwards it holds the weights of the best epoch on the validation cells, or of the last epoch
/// when there are none. `order` gives the order of the training cells in each epoch (from 0); `after_epoch` is told
/// about each epoch and returns whether to go on.
///
/// # Errors
/// [`TrainError`].
pub fn train(
    device: &Device,
    network: &mut Network,
    data: &TrainingData,
    objective: &Objective,
    settings: &TrainSettings,
    mut order: impl FnMut(usize) -> Vec<usize>,
    mut after_epoch: impl FnMut(&EpochRecord) -> bool,
) -> Result<Trained, TrainError> {
    let mut out = Trained { history: Vec::new(), best_epoch: settings.epochs, batch_losses: Vec::new() };
    let mut best: Option<Best> = None;
    for epoch in 1..=settings.epochs {
        let train_loss = one_epoch(
            device,
            network,
            data.train(),
            objective,
            settings,
            &order(epoch - 1),
            epoch,
            &mut out,
        )?;
        let validation_loss =
            data.validation().map(|rows| loss_of(device, network, rows, objective)).transpose()?;
        let record = EpochRecord { epoch, train_loss, validation_loss };
        out.history.push(record);
        if let Some(loss) = validation_loss
            && best.as_ref().is_none_or(|b| loss < b.loss)
        {
            best = Some(Best { loss, epoch, weights: network.snapshot() });
        }
        if !after_epoch(&record) {
            return Err(TrainError::Cancelled);
        }
        if let (Some(best), Some(patience)) = (&best, settings.patience)
            && epoch - best.epoch >= patience
        {
            break;
        }
    }
    match best {
        Some(best) => {
            network.restore(&best.weights)?;
            out.best_epoch = best.epoch;
        }
        None => out.best_epoch = out.history.len(),
    }
    Ok(out)
}

#[expect(clippy::too_many_arguments, reason = "the body of the loop above, split off for its length")]
fn one_epoch(
    device: &Device,
    network: &mut Network,
    train: &LabelledRows,
    objective: &Objective,
    settings: &TrainSettings,
    order: &[usize],
    epoch: usize,
    out: &mut Trained,
) -> Result<f64, TrainError> {
    let mut sum = 0.0;
    for (batch, cells) in order.chunks(settings.batch_size.max(1)).enumerate() {
        let x = device.upload(&[cells.len(), train.rows.dim], &train.rows.gather(cells))?;
        let labels: Vec<usize> = cells.iter().map(|&c| train.class[c]).collect();
        let (loss, gradients) =
            network.gradients(&x, |logits| objective.evaluate(device, logits, &labels))?;
        if !loss.is_finite() {
            let names: Vec<&str> = cells.iter().take(3).map(|&c| train.rows.ids[c].as_str()).collect();
            let cells = format!("{} ...", names.join(", "));
            return Err(TrainError::Diverged { epoch, batch: batch + 1, loss, cells });
        }
        network.update(&gradients, |parameter, gradient| settings.optimizer.step(parameter, gradient))?;
        out.batch_losses.push(loss);
        sum += loss * cells.len() as f64;
    }
    Ok(sum / order.len().max(1) as f64)
}

/// Loss of labelled cells without training on them.
fn loss_of(
    device: &Device,
    network: &Network,
    rows: &LabelledRows,
    objective: &Objective,
) -> Result<f64, TrainError> {
    let mut sum = 0.0;
    let all: Vec<usize> = (0..rows.class.len()).collect();
    for cells in all.chunks(FORWARD_ROWS) {
        let x = device.upload(&[cells.len(), rows.rows.dim], &rows.rows.gather(cells))?;
        let labels: Vec<usize> = cells.iter().map(|&c| rows.class[c]).collect();
        sum += objective.evaluate(device, &network.forward(&x)?, &labels)?.0 * cells.len() as f64;
    }
    Ok(sum / all.len().max(1) as f64)
}

impl Network {
    /// Logits of cells, one row each.
    ///
    /// # Errors
    /// The device's errors.
    pub fn logits(&self, device: &Device, rows: &FeatureRows) -> celldag_shaders::Result<Vec<Vec<f32>>> {
        let all: Vec<usize> = (0..rows.len()).collect();
        let mut out = Vec::with_capacity(rows.len());
        for cells in all.chunks(FORWARD_ROWS) {
            let x = device.upload(&[cells.len(), rows.dim], &rows.gather(cells))?;
            let logits = self.forward(&x)?.read()?;
            out.extend(logits.chunks(logits.len() / cells.len()).map(<[f32]>::to_vec));
        }
        Ok(out)
    }
}

/// A new random order of `n` cells for each epoch.
pub fn shuffled_epochs(n: usize, seed: [u8; 32]) -> impl FnMut(usize) -> Vec<usize> {
    move |epoch| {
        let mut key = blake3::Hasher::new_derive_key("celldag mlp-head order 1");
        key.update(&seed);
        key.update(&(epoch as u64).to_le_bytes());
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut ChaCha8Rng::from_seed(*key.finalize().as_bytes()));
        order
    }
}
