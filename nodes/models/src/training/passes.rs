//! Loss and gradients of a batch, within the memory there is: whole, with layers computed twice, or in parts.

use std::ops::Range;

use celldag_shaders::ops;
use celldag_shaders::{DeviceError, Error, Tape, Tensor};

use super::fine_tuning::{FineTuning, TuningSettings};
use super::network::Network;
use crate::adapter::Noise;
use crate::encoder::{Batch, CellEncoder};
use crate::error::ModelError;
use crate::tokens::CellTokens;

/// Tokens and classes of the cells of a batch.
#[derive(Clone, Copy, Debug)]
pub struct LabelledTokens<'a> {
    /// Tokens; no cell is empty.
    pub tokens: &'a [CellTokens],
    /// A number of each cell, for its noise: the same in every epoch, another for every cell.
    pub keys: &'a [u32],
    /// Class of each cell.
    pub class: &'a [usize],
    /// Cells of each neighbourhood, which lie behind each other; all 1 for models that look at cells alone.
    pub neighbourhoods: &'a [usize],
}

impl<'a> LabelledTokens<'a> {
    /// The cells of some neighbourhoods.
    fn of(self, neighbourhoods: Range<usize>) -> Self {
        let start: usize = self.neighbourhoods[..neighbourhoods.start].iter().sum();
        let neighbourhoods = &self.neighbourhoods[neighbourhoods];
        let cells = start..start + neighbourhoods.iter().sum::<usize>();
        Self {
            tokens: &self.tokens[cells.clone()],
            keys: &self.keys[cells.clone()],
            class: &self.class[cells],
            neighbourhoods,
        }
    }
}

/// Gradients of a part of a batch, in the order of the parameters: A and B of each layer, weight and bias of the head's.
struct Slope {
    loss: f64,
    gradients: Vec<Tensor>,
}

impl FineTuning {
    /// Loss and gradients of a batch: A and B of each layer, then weight and bias of each layer of the head. A batch is
    /// computed in as many parts as the settings say, and their gradients are added in the order of the cells: the bits of the
    /// result depend on the number of parts, but not on threads or on whether layers were computed twice. A part that does
    /// not fit the memory even so is cut in two, which [`FineTuning::halved`] counts.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails; when a single neighbourhood does not fit its memory.
    pub fn gradients(
        &mut self,
        encoder: &dyn CellEncoder,
        batch: LabelledTokens<'_>,
    ) -> Result<(f64, Vec<Tensor>), ModelError> {
        let count = batch.neighbourhoods.len();
        let whole = self.objective.divisor(batch.class);
        let size = count.div_ceil(self.settings.parts.clamp(1, count.max(1))).max(1);
        // Parts not yet done, the next one last.
        let mut pending: Vec<Range<usize>> =
            (0..count).step_by(size).map(|start| start..(start + size).min(count)).collect();
        pending.reverse();
        let mut total: Option<Slope> = None;
        while let Some(range) = pending.pop() {
            let part = batch.of(range.clone());
            let share = if range.len() == count { 1.0 } else { self.objective.divisor(part.class) / whole };
            match self.fitting(encoder, part, share) {
                Ok(slope) => total = Some(added(total, slope)?),
                Err(error) if error.is_out_of_memory() && range.len() > 1 => {
                    tracing::debug!(cells = part.tokens.len(), %error, "the pass does not fit; trying half of it");
                    self.halved += 1;
                    let middle = range.start + range.len() / 2;
                    pending.push(middle..range.end);
                    pending.push(range.start..middle);
                }
                Err(error) => return Err(error),
            }
        }
        let nothing = || ModelError::Tokens("a batch has no cells".to_owned());
        total.map(|slope| (slope.loss, slope.gradients)).ok_or_else(nothing)
    }

    /// A pass that fits the memory: as it is, or with segments computed twice.
    fn fitting(
        &mut self,
        encoder: &dyn CellEncoder,
        part: LabelledTokens<'_>,
        share: f64,
    ) -> Result<Slope, ModelError> {
        let limit = self.device.memory().limit.or(self.settings.memory);
        let device = self.device.clone();
        let try_with = |tuning: &Self, recompute: bool| -> Result<Slope, ModelError> {
            let plan = device.plan(|| tuning.pass(encoder, part, share, recompute))?;
            let bytes = plan.peak();
            if limit.is_some_and(|limit| bytes > limit) {
                let device = device.info().name.clone();
                return Err(Error::from(DeviceError::OutOfMemory { device, bytes }).into());
            }
            device.reset_peak();
            device.run_planned(&plan, || tuning.pass(encoder, part, share, recompute))
        };
        let mut slope = try_with(self, self.recompute);
        if !self.recompute && slope.as_ref().is_err_and(ModelError::is_out_of_memory) {
            slope = try_with(self, true);
            // What did not fit once will not fit again.
            self.recompute = slope.is_ok();
        }
        self.peak = self.peak.max(self.device.memory().peak);
        slope
    }

    /// Forward and backward.
    fn pass(
        &self,
        encoder: &dyn CellEncoder,
        part: LabelledTokens<'_>,
        share: f64,
        recompute: bool,
    ) -> Result<Slope, ModelError> {
        let tape = Tape::with_recompute(recompute);
        let watched = self.watch(&tape);
        let cells = part.keys.iter().zip(part.tokens).map(|(&key, tokens)| (key, tokens.len())).collect();
        let TuningSettings { dropout: probability, seed, .. } = self.settings;
        self.dropout.set(Some(Noise { probability, seed, step: self.steps, cells }));
        let slope = self.watched_pass(encoder, tape, &watched, part, share);
        self.dropout.set(None);
        self.settle();
        slope
    }

    fn watched_pass(
        &self,
        encoder: &dyn CellEncoder,
        tape: Tape,
        watched: &[[Tensor; 2]],
        part: LabelledTokens<'_>,
        share: f64,
    ) -> Result<Slope, ModelError> {
        let head = self.head.watched(&tape);
        let LabelledTokens { tokens: cells, neighbourhoods, .. } = part;
        let vectors = encoder.pooled(Batch { cells, neighbourhoods })?;
        let logits = Network::forward_watched(&vectors, &head)?;
        let (loss, slope) = self.objective.evaluate(&self.device, &logits, part.class)?;
        let slope = if share < 1.0 { ops::scale(&slope, share as f32)? } else { slope };
        let found = tape.gradients(&logits, &slope)?;
        let of = |tensor: &Tensor| match found.of(tensor) {
            Some(gradient) => Ok(gradient.clone()),
            None => self.device.zeros(tensor.shape()),
        };
        let of_head = head.iter().flat_map(|(weight, bias)| [weight, bias]);
        let gradients =
            watched.iter().flatten().chain(of_head).map(of).collect::<celldag_shaders::Result<_>>()?;
        Ok(Slope { loss: loss * share, gradients })
    }
}

/// The sum of two slopes.
fn added(total: Option<Slope>, slope: Slope) -> Result<Slope, ModelError> {
    let Some(total) = total else { return Ok(slope) };
    let sums = total.gradients.iter().zip(&slope.gradients).map(|(a, b)| ops::add(a, b));
    Ok(Slope { loss: total.loss + slope.loss, gradients: sums.collect::<Result<_, _>>()? })
}
