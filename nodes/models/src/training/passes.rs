//! Loss and gradients of a batch, within the memory there is: in the parts that were asked for, with layers computed twice
//! where that is needed.

use std::ops::Range;

use celldag_shaders::ops;
use celldag_shaders::{Tape, Tensor};

use super::fine_tuning::{FineTuning, TuningSettings};
use super::memory::{gradients_at, summed};
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

/// Gradients of a part of a batch, in the order of [`FineTuning::parameters`].
struct Slope {
    loss: f64,
    gradients: Vec<Tensor>,
}

impl FineTuning {
    /// Loss of a batch and its gradients, in the order of [`FineTuning::parameters`]. A batch is computed in as many parts as
    /// the settings say, and their gradients are added in the order of the cells: the bits of the result depend on the number
    /// of parts, but neither on threads nor on the memory there is. A part that does not fit is computed with layers twice,
    /// which changes no bit.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails; out of memory when a part does not fit even so.
    pub fn gradients(
        &mut self,
        encoder: &dyn CellEncoder,
        batch: LabelledTokens<'_>,
    ) -> Result<(f64, Vec<Tensor>), ModelError> {
        let count = batch.neighbourhoods.len();
        let whole = self.objective.divisor(batch.class);
        let size = count.div_ceil(self.settings.parts.clamp(1, count.max(1))).max(1);
        let mut total: Option<Slope> = None;
        for start in (0..count).step_by(size) {
            let range = start..(start + size).min(count);
            let part = batch.of(range.clone());
            let share = if range.len() == count { 1.0 } else { self.objective.divisor(part.class) / whole };
            let slope = self.fitting(encoder, part, share)?;
            total = Some(added(total, slope)?);
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
        let mut fitting = self.fitting;
        let slope = fitting
            .run(&self.device, self.settings.memory, |recompute| self.pass(encoder, part, share, recompute));
        self.fitting = fitting;
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
        let TuningSettings { dropout: probability, seed, .. } = self.settings;
        let rows = self.layers.iter().filter(|layer| layer.is_adapter());
        let rows = rows.map(|layer| (layer.name.clone(), encoder.layer_rows(&layer.name, part.tokens)));
        let (step, rows) = (self.steps, rows.collect());
        self.dropout.set(Some(Noise { probability, seed, step, cells: part.keys.to_vec(), rows }));
        let slope = self.watched_pass(encoder, tape, &watched, part, share);
        self.dropout.set(None);
        self.settle();
        slope
    }

    fn watched_pass(
        &self,
        encoder: &dyn CellEncoder,
        tape: Tape,
        watched: &[Tensor],
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
        let of_head = head.iter().flat_map(|(weight, bias)| [weight, bias]);
        let gradients = gradients_at(&found, watched.iter().chain(of_head))?;
        Ok(Slope { loss: loss * share, gradients })
    }
}

/// The sum of two slopes.
fn added(total: Option<Slope>, slope: Slope) -> Result<Slope, ModelError> {
    let Some(total) = total else { return Ok(slope) };
    Ok(Slope { loss: total.loss + slope.loss, gradients: summed(&total.gradients, &slope.gradients)? })
}
