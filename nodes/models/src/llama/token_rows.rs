//! The table of token embeddings, which stays in the checkpoint: that of an 8B model has a gigabyte, more than many GPUs bind
//! at once, and a batch needs a few thousand rows of it. A table that is trained, or was, is on the device as a whole.

use std::collections::BTreeSet;

use celldag_data::checkpoint::{Stored, Weights};
use celldag_shaders::{Device, Element, Ids, Tensor, ops};

use crate::adapter::Slot;
use crate::error::ModelError;
use crate::params::Params;

/// Rows of a table in a checkpoint.
#[derive(Debug)]
pub(super) struct TokenRows {
    table: Table,
    entries: usize,
    width: usize,
}

#[derive(Debug)]
enum Table {
    /// In the checkpoint, with the name of the tensor.
    Stored(Box<Weights>, String),
    Held(Slot),
}

impl TokenRows {
    /// The table at `params`, on the device if it must be there. None if its rows can stay in the checkpoint, where it has the
    /// right shape.
    ///
    /// # Errors
    /// When the tensor is missing or has another shape, or the device fails.
    pub(super) fn held(
        params: &Params<'_>,
        name: &str,
        [entries, width]: [usize; 2],
    ) -> Result<Option<Self>, ModelError> {
        if params.trains(name) || params.is_replaced(name) {
            let table = Table::Held(params.weight(name, &[entries, width])?);
            return Ok(Some(Self { table, entries, width }));
        }
        params.leave(name, &[entries, width])?;
        Ok(None)
    }

    /// Of the tensor `name` `[entries, width]`, which was checked.
    pub(super) fn stored(weights: Weights, name: String, [entries, width]: [usize; 2]) -> Self {
        Self { table: Table::Stored(Box::new(weights), name), entries, width }
    }

    /// The embedding of each token, `[tokens, width]`.
    pub(super) fn embed(&self, device: &Device, tokens: &[u32]) -> Result<Tensor, ModelError> {
        if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= self.entries) {
            let message = format!("the token {unknown} is beyond the vocabulary of {}", self.entries);
            return Err(ModelError::Tokens(message));
        }
        let (weights, name) = match &self.table {
            Table::Held(slot) => return Ok(ops::embed(&slot.get(), &Ids::new(device, tokens)?)?),
            Table::Stored(weights, name) => (weights, name),
        };
        let used: Vec<u32> = tokens.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let place = |token: &u32| u32::try_from(used.binary_search(token).unwrap_or_default());
        let places: Vec<u32> = tokens.iter().map(|token| place(token).unwrap_or_default()).collect();
        let table = self.rows(weights, name, device, &used)?;
        Ok(ops::embed(&table, &Ids::new(device, &places)?)?)
    }

    /// The rows `used`, ascending, in the precision of the file.
    fn rows(
        &self,
        weights: &Weights,
        name: &str,
        device: &Device,
        used: &[u32],
    ) -> Result<Tensor, ModelError> {
        let shape = [used.len(), self.width];
        let (mut element, mut halves, mut values) = (Element::F32, Vec::new(), Vec::new());
        for run in used.chunk_by(|a, b| a + 1 == *b) {
            let rows = run[0] as usize..run[0] as usize + run.len();
            match weights.rows_stored(name, rows)? {
                Stored::F16(bits) => {
                    element = Element::F16;
                    halves.extend(bits);
                }
                Stored::Bf16(bits) => {
                    element = Element::Bf16;
                    halves.extend(bits);
                }
                wide => values.extend(wide.widen()),
            }
        }
        Ok(match element {
            Element::F32 => device.upload(&shape, &values)?,
            half => device.upload_half(&shape, half, &halves)?,
        })
    }
}
