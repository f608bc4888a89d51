//! Cells: a matrix of counts with its annotations, read from whatever format a file has.
//!
//! [`CellsFile::open`] finds the format out and reads the annotations; matrices stay on disk until
//! [`CellsFile::rows`] streams them in chunks of cells or [`CellsFile::read_matrix`] reads one whole.

mod columns;
mod counts;
mod detect;
mod file;
mod matrix;
mod rows;
mod sparse;
#[cfg(test)]
mod tests;

pub use counts::CountsSource;
pub use file::{CellsFile, OpenOptions};
pub use matrix::MatrixRef;
pub use rows::RowChunks;

pub(crate) use file::{Layout, Source};
pub(crate) use matrix::{Kept, Store};
pub(crate) use sparse::SparseOnDisk;

use crate::{Csr, Table};

/// Cells in memory: row `i` of `x` is described by row `i` of `obs`, column `j` by row `j` of `var`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    /// One row per cell.
    pub obs: Table,
    /// One row per gene.
    pub var: Table,
    /// Cells × genes.
    pub x: Csr,
}

impl Cells {
    /// The cells `rows`, in that order.
    ///
    /// # Panics
    /// If a row is out of range.
    #[must_use]
    pub fn select_cells(&self, rows: &[usize]) -> Self {
        Self { obs: self.obs.select(rows), var: self.var.clone(), x: self.x.select_rows(rows) }
    }

    /// The genes `columns`, in that order.
    ///
    /// # Panics
    /// If a column is out of range.
    #[must_use]
    pub fn select_genes(&self, columns: &[usize]) -> Self {
        Self { obs: self.obs.clone(), var: self.var.select(columns), x: self.x.select_columns(columns) }
    }
}
