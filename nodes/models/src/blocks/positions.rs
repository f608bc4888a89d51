//! The table of positions, with a vector that is added at every position.

use celldag_shaders::{Ids, Result, Tensor, ops};

use crate::adapter::Slot;
use crate::error::ModelError;
use crate::params::Params;

/// The vectors of positions, and the one vector that some models add at each of them: that of token type 0 in BERT, the only type
/// that occurs, and that of the token 0 in some GPT-2. An embedding adds it once to the whole table; where one of the two tables is
/// trained they stay apart, so that each has its own gradient and its own values to save. The sums are the same to the bit.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    /// `[positions, width]`.
    table: Slot,
    /// A table `[rows, width]` whose first row is added, if that is not done.
    added: Option<Slot>,
}

impl Positions {
    /// The table `weight` `[positions, width]` at `params`, with `added` `[width]` (or nothing) at every position.
    ///
    /// # Errors
    /// When the table is missing or has another shape, or the device fails.
    pub(crate) fn summed(
        params: &Params<'_>,
        [positions, width]: [usize; 2],
        added: &[f32],
    ) -> std::result::Result<Self, ModelError> {
        let mut table = params.values("weight", &[positions, width])?;
        for row in table.chunks_exact_mut(width) {
            for (value, added) in row.iter_mut().zip(added) {
                *value += added;
            }
        }
        let table = params.device().upload(&[positions, width], &table)?;
        Ok(Self { table: Slot::new(table), added: None })
    }

    /// The table, and one whose first row is added at every position.
    pub(crate) fn apart(table: Slot, added: Option<Slot>) -> Self {
        Self { table, added }
    }

    /// The vectors of `places`, `[places, width]`.
    ///
    /// # Errors
    /// What the device reports.
    pub(crate) fn at(&self, places: &Ids) -> Result<Tensor> {
        let rows = ops::embed(&self.table.get(), places)?;
        let Some(added) = &self.added else { return Ok(rows) };
        let first = ops::embed(&added.get(), &Ids::new(rows.device(), &[0])?)?;
        let width = first.len();
        ops::add_row(&rows, &first.reshape(&[width])?)
    }
}
