//! Cells of which genes are hidden, as something to learn from.

use celldag_models::pretraining::{MaskEpoch, MaskedCell, Masking, Pretraining, Snapshot, mask_seed};
use celldag_models::training::{Learned, Learner, Resumable, SavedState};

use super::cells::{NamedCell, PretrainCells};
use crate::embed::failure::Failure;
use crate::learn::failure;

/// A model and the cells that it learns from.
pub(super) struct MaskedCells<'a> {
    pub(super) training: Pretraining,
    pub(super) cells: &'a PretrainCells,
    pub(super) masking: Masking,
    pub(super) seed: u64,
    /// Cells of a batch, and the parts that it is computed in.
    pub(super) batch: [usize; 2],
    /// Batches of an epoch.
    pub(super) batches: u64,
    /// Tokens computed at once where nothing is learnt; changes no number.
    pub(super) batch_tokens: usize,
    pub(super) stop: &'a dyn Fn() -> Result<(), Failure>,
}

impl MaskedCells<'_> {
    /// A cell with hidden genes.
    pub(super) fn hide(&self, cell: &NamedCell, epoch: MaskEpoch) -> Result<MaskedCell, Failure> {
        Ok(self.masking.hide(&self.cells.ids(cell)?, mask_seed(self.seed, epoch, &cell.name)))
    }

    /// Loss per hidden gene of all of some cells, without learning from them.
    fn loss(&self, cells: &[NamedCell], epoch: MaskEpoch) -> Result<f64, Failure> {
        // One sum over all: sums of batches would depend on what is computed together.
        let (mut sum, mut hidden, mut tokens) = (0.0, 0, 0);
        let mut add = |batch: &[MaskedCell]| -> Result<(), Failure> {
            let losses = self.training.losses(batch).map_err(failure::validation_too_large)?;
            losses.into_iter().for_each(|loss| sum += f64::from(loss));
            Ok(())
        };
        let mut batch: Vec<MaskedCell> = Vec::new();
        for cell in cells {
            let masked = self.hide(cell, epoch)?;
            if !batch.is_empty() && tokens + masked.tokens.len() > self.batch_tokens {
                (self.stop)()?;
                add(&batch)?;
                batch.clear();
                tokens = 0;
            }
            tokens += masked.tokens.len();
            hidden += masked.labels.len();
            batch.push(masked);
        }
        if !batch.is_empty() {
            add(&batch)?;
        }
        Ok(sum / hidden as f64)
    }
}

impl Learner for MaskedCells<'_> {
    type State = Snapshot;
    type Error = Failure;

    fn learn(&mut self, cells: &[usize], rate: f64) -> Result<Learned, Failure> {
        let epoch = MaskEpoch::Training(self.training.steps() / self.batches);
        let masked = cells.iter().map(|&cell| self.hide(&self.cells.train[cell], epoch));
        let masked = masked.collect::<Result<Vec<_>, _>>()?;
        let learned = self.training.learn(&masked, rate);
        learned.map_err(|error| failure::too_large(error, self.batch))
    }

    fn validation_loss(&mut self) -> Result<Option<f64>, Failure> {
        let cells = &self.cells.validation;
        if cells.is_empty() { Ok(None) } else { self.loss(cells, MaskEpoch::Validation).map(Some) }
    }

    fn name(&self, cell: usize) -> &str {
        &self.cells.train[cell].name
    }

    fn snapshot(&self) -> Snapshot {
        self.training.snapshot()
    }

    fn restore(&mut self, state: &Snapshot) -> Result<(), Failure> {
        Ok(self.training.restore(state)?)
    }
}

impl Resumable for MaskedCells<'_> {
    fn save(&self) -> Result<SavedState, Failure> {
        Ok(self.training.save()?)
    }

    fn load(&mut self, saved: &SavedState) -> Result<bool, Failure> {
        Ok(self.training.load(saved)?)
    }

    fn save_kept(&self, state: &Snapshot) -> Result<SavedState, Failure> {
        Ok(self.training.save_kept(state)?)
    }

    fn load_kept(&self, saved: &SavedState) -> Result<Option<Snapshot>, Failure> {
        Ok(self.training.load_kept(saved)?)
    }
}
