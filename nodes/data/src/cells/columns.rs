//! Gene-compressed matrices (CSC) as rows, in bounded memory.
//!
//! A pass over the indices counts the values of each cell. Then blocks of consecutive cells that fit a budget are
//! filled, each by one pass over the file; a matrix within the budget needs a single block.

use super::SparseOnDisk;
use super::counts::{Check, Offence, to_f32};
use crate::{Csr, DataError};

/// Stored values of one block: 8 bytes each, so half a gigabyte.
pub(super) const BLOCK_VALUES: u64 = 1 << 26;
/// Stored values read at once.
const SLAB: usize = 1 << 20;

/// What stopped a block: a broken file, or a value that must not be there.
pub(super) enum Stop {
    Data(DataError),
    Value(Offence),
}

impl From<DataError> for Stop {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

/// Reads blocks of rows of a gene-compressed matrix.
#[derive(Debug)]
pub(super) struct ColumnBlocks {
    /// Number of values before each cell; one more element than cells.
    offsets: Vec<u64>,
    budget: u64,
    /// First cell, one past the last, values.
    block: Option<(usize, usize, Csr)>,
}

impl ColumnBlocks {
    /// Counts the values of each cell.
    pub(super) fn new(sparse: &SparseOnDisk, budget: u64) -> Result<Self, DataError> {
        let mut offsets = vec![0_u64; sparse.minor + 1];
        for from in (0..sparse.nnz()).step_by(SLAB) {
            for cell in sparse.indices_in(from, (from + SLAB).min(sparse.nnz()))? {
                offsets[cell as usize + 1] += 1;
            }
        }
        for cell in 0..sparse.minor {
            offsets[cell + 1] += offsets[cell];
        }
        Ok(Self { offsets, budget, block: None })
    }

    /// The cells `from..to`, which may span blocks.
    pub(super) fn rows(
        &mut self,
        sparse: &SparseOnDisk,
        check: Check,
        from: usize,
        to: usize,
    ) -> Result<Csr, Stop> {
        let mut out = Csr::empty(sparse.indptr.len() - 1);
        let mut next = from;
        while next < to {
            if !self.block.as_ref().is_some_and(|(first, end, _)| (*first..*end).contains(&next)) {
                // Free the old block before the new one is made.
                self.block = None;
                self.block = Some(self.load(sparse, check, next)?);
            }
            if let Some((first, end, block)) = &self.block {
                let until = to.min(*end);
                out.append(&block.slice_rows(next - first, until - first));
                next = until;
            }
        }
        Ok(out)
    }

    /// The block that begins with cell `first`: as many cells as the budget allows, at least one.
    fn load(&self, sparse: &SparseOnDisk, check: Check, first: usize) -> Result<(usize, usize, Csr), Stop> {
        let base = self.offsets[first];
        let fits = self.offsets.partition_point(|&offset| offset <= base + self.budget) - 1;
        let end = fits.max(first + 1).min(sparse.minor);
        let total = (self.offsets[end] - base) as usize;
        let indptr: Vec<u64> = self.offsets[first..=end].iter().map(|offset| offset - base).collect();
        let mut fill = indptr.clone();
        let mut indices = vec![0_u32; total];
        let mut values = vec![0.0_f32; total];
        for from in (0..sparse.nnz()).step_by(SLAB) {
            let to = (from + SLAB).min(sparse.nnz());
            let cells = sparse.indices_in(from, to)?;
            let numbers = sparse.values.numbers_in(from..to)?;
            if let Some((at, value, reason)) = check.first(&numbers) {
                let column = sparse.major_of(from + at);
                return Err(Stop::Value(Offence { row: cells[at] as usize, column, value, reason }));
            }
            let mut column = sparse.major_of(from);
            for (at, (&cell, value)) in cells.iter().zip(to_f32(numbers)).enumerate() {
                while sparse.indptr[column + 1] <= (from + at) as u64 {
                    column += 1;
                }
                let cell = cell as usize;
                if (first..end).contains(&cell) {
                    let slot = &mut fill[cell - first];
                    indices[*slot as usize] = column as u32;
                    values[*slot as usize] = value;
                    *slot += 1;
                }
            }
        }
        let columns = sparse.indptr.len() - 1;
        let block = Csr::new(columns, indptr, indices, values)
            .map_err(|error| sparse.values.malformed(error.to_string()))?;
        Ok((first, end, block))
    }
}
