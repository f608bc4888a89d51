//! A matrix as a stream of chunks of cells, in memory that depends on the chunk and not on the file.

use std::ops::Range;

use super::columns::{BLOCK_VALUES, ColumnBlocks, Stop};
use super::counts::{Offence, to_f32};
use super::{CellsFile, MatrixRef, SparseOnDisk, Store};
use crate::h5::H5Dataset;
use crate::{Csr, DataError};

/// Elements of a dense matrix read at once.
const DENSE_ELEMENTS: usize = 1 << 22;

/// Iterator over chunks of consecutive cells: the position of the first one, and their values.
/// Ends after the first error.
#[derive(Debug)]
pub struct RowChunks<'a> {
    file: &'a CellsFile,
    matrix: MatrixRef,
    chunk: usize,
    next: usize,
    end: usize,
    budget: u64,
    blocks: Option<ColumnBlocks>,
}

impl<'a> RowChunks<'a> {
    pub(super) fn new(file: &'a CellsFile, matrix: &MatrixRef, chunk_rows: usize) -> Self {
        let (matrix, chunk) = (matrix.clone(), chunk_rows.max(1));
        let end = matrix.n_cells;
        Self { file, matrix, chunk, next: 0, end, budget: BLOCK_VALUES, blocks: None }
    }

    /// The same of some cells only. Of a gene-compressed matrix all indices are passed over nevertheless.
    #[must_use]
    pub fn of(mut self, cells: Range<usize>) -> Self {
        self.end = cells.end.min(self.matrix.n_cells);
        self.next = cells.start;
        self
    }

    /// The same with another limit of values in memory for gene-compressed matrices.
    #[cfg(test)]
    pub(crate) fn with_budget(mut self, values: u64) -> Self {
        self.budget = values;
        self
    }

    fn read(&mut self, from: usize, to: usize) -> Result<Csr, Stop> {
        let csr = match &self.matrix.store {
            Store::Memory(csr) => csr.slice_rows(from, to),
            Store::Rows(sparse) => self.sparse_rows(sparse, from, to)?,
            Store::Dense(dataset) => self.dense_rows(dataset, from, to)?,
            Store::Columns(sparse) => {
                if self.blocks.is_none() {
                    self.blocks = Some(ColumnBlocks::new(sparse, self.budget)?);
                }
                match &mut self.blocks {
                    Some(blocks) => blocks.rows(sparse, self.matrix.check, from, to)?,
                    None => Csr::empty(self.matrix.n_genes()),
                }
            }
        };
        Ok(match &self.matrix.kept {
            Some(kept) => csr.select_columns(&kept.columns),
            None => csr,
        })
    }

    fn sparse_rows(&self, sparse: &SparseOnDisk, from: usize, to: usize) -> Result<Csr, Stop> {
        let (begin, end) = (sparse.indptr[from] as usize, sparse.indptr[to] as usize);
        let numbers = sparse.values.numbers_in(begin..end)?;
        let indices = sparse.indices_in(begin, end)?;
        if let Some((at, value, reason)) = self.matrix.check.first(&numbers) {
            let (row, column) = (sparse.major_of(begin + at), indices[at] as usize);
            return Err(Stop::Value(Offence { row, column, value, reason }));
        }
        let indptr = sparse.indptr[from..=to].iter().map(|offset| offset - begin as u64).collect();
        let csr = Csr::new(sparse.minor, indptr, indices, to_f32(numbers))
            .map_err(|error| sparse.indices.malformed(error.to_string()))?;
        Ok(csr)
    }

    fn dense_rows(&self, dataset: &H5Dataset, from: usize, to: usize) -> Result<Csr, Stop> {
        let width = dataset.shape()[1];
        let mut csr = Csr::empty(width);
        let step = (DENSE_ELEMENTS / width.max(1)).max(1);
        for begin in (from..to).step_by(step) {
            let numbers = dataset.rows_in(begin..(begin + step).min(to))?;
            if let Some((at, value, reason)) = self.matrix.check.first(&numbers) {
                return Err(Stop::Value(Offence {
                    row: begin + at / width,
                    column: at % width,
                    value,
                    reason,
                }));
            }
            csr.append(&Csr::from_dense(width, &to_f32(numbers)));
        }
        Ok(csr)
    }
}

impl Iterator for RowChunks<'_> {
    type Item = Result<(usize, Csr), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let cells = self.end;
        if self.next >= cells {
            return None;
        }
        let from = self.next;
        let to = from.saturating_add(self.chunk).min(cells);
        self.next = to;
        Some(self.read(from, to).map(|csr| (from, csr)).map_err(|stop| {
            self.next = cells;
            match stop {
                Stop::Data(error) => error,
                Stop::Value(offence) => {
                    let others = match offence.reason {
                        Some(_) => self.file.with_counts(self.matrix.name()),
                        None => Vec::new(),
                    };
                    self.matrix.offence(self.file.path(), self.file.obs(), &others, &offence)
                }
            }
        }))
    }
}
