//! Adapters and head over a tokens file as something that learns.

use celldag_models::training::{FineTuning, LabelledTokens, Learned, Learner, Resumable, SavedState};
use celldag_models::{CellTokens, Cells, Loaded, embed_cells};
use celldag_shaders::Tensor;

use super::data::TrainingCells;
use super::kind::Options;
use super::tokens::AllTokens;
use crate::embed::failure::Failure;
use crate::learn::failure;

/// What learns: it owns training and validation cells, and cannot ask for others.
pub(super) struct Tuned<'a, 'b> {
    pub(super) tuning: FineTuning,
    pub(super) loaded: &'a mut Loaded<'b>,
    pub(super) vectors: Vectors<'a>,
    pub(super) data: &'a TrainingCells,
    pub(super) options: &'a Options,
}

/// Vectors of cells by the present adapters.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    pub(super) tokens: &'a AllTokens,
    pub(super) batch_tokens: usize,
    pub(super) stop: &'a dyn Fn() -> Result<(), Failure>,
}

impl Vectors<'_> {
    /// Row-major, one row a cell, without noise.
    pub(super) fn of(&self, loaded: &mut Loaded<'_>, rows: &[usize]) -> Result<Vec<f32>, Failure> {
        let lengths = self.tokens.index.lengths(rows);
        let all = Cells { lengths: &lengths, neighbourhoods: None, batch_tokens: self.batch_tokens };
        let read = |cells: &[usize]| {
            (self.stop)()?;
            self.read(&cells.iter().map(|&cell| rows[cell]).collect::<Vec<_>>())
        };
        embed_cells(loaded, all, read)
    }

    /// Tokens of cells.
    pub(super) fn read(&self, rows: &[usize]) -> Result<Vec<CellTokens>, Failure> {
        self.tokens.read(rows)
    }
}

impl Learner for Tuned<'_, '_> {
    type State = Vec<Tensor>;
    type Error = Failure;

    fn learn(&mut self, cells: &[usize], rate: f64) -> Result<Learned, Failure> {
        let train = self.data.train();
        let rows: Vec<usize> = cells.iter().map(|&cell| train.rows[cell]).collect();
        let tokens = self.vectors.read(&rows)?;
        let keys: Vec<u32> = cells.iter().map(|&cell| train.keys[cell]).collect();
        let class: Vec<usize> = cells.iter().map(|&cell| train.class[cell]).collect();
        let neighbourhoods = vec![1; cells.len()];
        let batch =
            LabelledTokens { tokens: &tokens, keys: &keys, class: &class, neighbourhoods: &neighbourhoods };
        let learned = self.tuning.learn(self.loaded.encoder(), batch, rate);
        let batch = [self.options.training.batch_size, self.options.accumulation];
        learned.map_err(|error| failure::too_large(error, batch))
    }

    fn validation_loss(&mut self) -> Result<Option<f64>, Failure> {
        let validation = self.data.validation();
        if validation.rows.is_empty() {
            return Ok(None);
        }
        let vectors = self.vectors.of(self.loaded, &validation.rows)?;
        Ok(Some(self.tuning.loss(&vectors, &validation.class)?))
    }

    fn name(&self, cell: usize) -> &str {
        &self.data.train().names[cell]
    }

    fn snapshot(&self) -> Self::State {
        self.tuning.snapshot()
    }

    fn restore(&mut self, state: &Self::State) -> Result<(), Failure> {
        Ok(self.tuning.restore(state)?)
    }
}

impl Resumable for Tuned<'_, '_> {
    fn save(&self) -> Result<SavedState, Failure> {
        Ok(self.tuning.save()?)
    }

    fn load(&mut self, saved: &SavedState) -> Result<bool, Failure> {
        Ok(self.tuning.load(saved)?)
    }

    fn save_kept(&self, state: &Self::State) -> Result<SavedState, Failure> {
        Ok(self.tuning.save_kept(state)?)
    }

    fn load_kept(&self, saved: &SavedState) -> Result<Option<Self::State>, Failure> {
        Ok(self.tuning.load_kept(saved)?)
    }
}
