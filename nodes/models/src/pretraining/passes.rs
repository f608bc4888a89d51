//! Loss and gradients of masked cells, in as many parts as the settings say.

use celldag_shaders::ops::{self, softmax_cross_entropy};
use celldag_shaders::{Ids, Tape, Tensor};

use super::masking::MaskedCell;
use super::trainer::Pretraining;
use crate::error::ModelError;
use crate::training::{gradients_at, summed, within};

/// Sum of the losses of the hidden tokens of some cells, and gradients of the batch's mean loss by them.
struct Slope {
    sum: f64,
    gradients: Vec<Tensor>,
}

impl Pretraining {
    /// Mean loss of the hidden tokens of a batch, and its gradients by all weights. A batch is computed in as many parts as
    /// the settings say, and their gradients are added in the order of the cells: the bits of the result depend on the number
    /// of parts, but not on threads or on whether layers were computed twice.
    ///
    /// # Errors
    /// When tokens are out of range, nothing is hidden, or the device fails; when a part does not fit its memory.
    pub fn gradients(&mut self, cells: &[MaskedCell]) -> Result<(f64, Vec<Tensor>), ModelError> {
        let hidden: usize = cells.iter().map(|cell| cell.labels.len()).sum();
        let size = cells.len().div_ceil(self.settings.parts.clamp(1, cells.len().max(1))).max(1);
        let mut total: Option<Slope> = None;
        for part in cells.chunks(size) {
            let mut fitting = self.fitting;
            let slope = fitting
                .run(&self.device, self.settings.memory, |recompute| self.pass(part, hidden, recompute));
            self.fitting = fitting;
            total = Some(added(total, slope?)?);
        }
        let nothing = || ModelError::Tokens("a batch hides no token".to_owned());
        total.map(|slope| (slope.sum / hidden as f64, slope.gradients)).ok_or_else(nothing)
    }

    /// The loss of each hidden token of some cells, in their order, without learning from them. It depends on its cell alone;
    /// added one after the other, losses come to the same bits whatever cells are computed together. So cells that do not fit the
    /// memory together are computed in halves.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails; when one cell does not fit its memory.
    pub fn losses(&self, cells: &[MaskedCell]) -> Result<Vec<f32>, ModelError> {
        let losses = || -> Result<Vec<f32>, ModelError> {
            let logits = self.model.logits(cells)?;
            Ok(softmax_cross_entropy(&logits, &labels(&logits, cells)?)?.rows.read()?)
        };
        let (first, second) = cells.split_at(cells.len() / 2);
        match within(&self.device, self.settings.memory, losses) {
            Err(error) if error.is_out_of_memory() && !first.is_empty() => {
                tracing::debug!(cells = cells.len(), %error, "cells do not fit together; trying half of them");
                Ok([self.losses(first)?, self.losses(second)?].concat())
            }
            done => done,
        }
    }

    /// Forward and backward; `hidden` are the hidden tokens of the whole batch.
    fn pass(&self, part: &[MaskedCell], hidden: usize, recompute: bool) -> Result<Slope, ModelError> {
        let tape = Tape::with_recompute(recompute);
        let watched = self.watch(&tape);
        let slope = self.watched_pass(tape, &watched, part, hidden);
        self.settle();
        slope
    }

    fn watched_pass(
        &self,
        tape: Tape,
        watched: &[Tensor],
        part: &[MaskedCell],
        hidden: usize,
    ) -> Result<Slope, ModelError> {
        let logits = self.model.logits(part)?;
        let loss = softmax_cross_entropy(&logits, &labels(&logits, part)?)?;
        let sum = sum(&loss.rows)?;
        // The gradient is that of the part's own mean.
        let here = loss.rows.len();
        let gradient = match here {
            here if here == hidden => loss.gradient,
            _ => ops::scale(&loss.gradient, here as f32 / hidden as f32)?,
        };
        let gradients = gradients_at(&tape.gradients(&logits, &gradient)?, watched)?;
        Ok(Slope { sum, gradients })
    }
}

fn labels(logits: &Tensor, cells: &[MaskedCell]) -> Result<Ids, ModelError> {
    let labels: Vec<u32> = cells.iter().flat_map(|cell| cell.labels.iter().copied()).collect();
    Ok(Ids::new(logits.device(), &labels)?)
}

/// In f64: there are thousands of them.
fn sum(rows: &Tensor) -> Result<f64, ModelError> {
    Ok(rows.read()?.iter().map(|&loss| f64::from(loss)).sum())
}

/// The sum of two slopes.
fn added(total: Option<Slope>, slope: Slope) -> Result<Slope, ModelError> {
    let Some(total) = total else { return Ok(slope) };
    Ok(Slope { sum: total.sum + slope.sum, gradients: summed(&total.gradients, &slope.gradients)? })
}
