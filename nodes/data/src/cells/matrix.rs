//! One matrix of a file: its name, its genes, where its values lie and what they must be.

use std::path::Path;
use std::sync::Arc;

use super::SparseOnDisk;
use super::counts::{Check, Offence};
use crate::error::ValueAt;
use crate::h5::H5Dataset;
use crate::{Csr, DataError, Table};

/// A matrix that can be read, with the genes that its columns stand for.
#[derive(Debug, Clone)]
pub struct MatrixRef {
    pub(super) name: String,
    pub(super) n_cells: usize,
    pub(super) var: Arc<Table>,
    pub(super) store: Store,
    pub(super) kept: Option<Arc<Kept>>,
    pub(super) check: Check,
}

/// Where the values are.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// Compressed by cell.
    Rows(SparseOnDisk),
    /// Compressed by gene.
    Columns(SparseOnDisk),
    /// All values, cell after cell.
    Dense(H5Dataset),
    /// In memory.
    Memory(Arc<Csr>),
}

/// The columns that are genes, when the file holds other features too (antibodies, guides).
#[derive(Debug)]
pub(crate) struct Kept {
    /// Positions among all features.
    pub(crate) columns: Vec<usize>,
    /// Names of all features.
    pub(crate) names: Vec<String>,
}

impl MatrixRef {
    /// A matrix of `n_cells` cells; `var` has one row per column that will be read.
    pub(crate) fn new(name: &str, n_cells: usize, var: Arc<Table>, store: Store, kept: Option<Kept>) -> Self {
        let check = Check::Finite;
        Self { name: name.to_owned(), n_cells, var, store, kept: kept.map(Arc::new), check }
    }

    /// `X`, `raw/X`, `layers/counts` ...
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of rows.
    #[must_use]
    pub fn n_cells(&self) -> usize {
        self.n_cells
    }

    /// Number of columns.
    #[must_use]
    pub fn n_genes(&self) -> usize {
        self.var.len()
    }

    /// The genes of this matrix; `raw/X` has others than `X`.
    #[must_use]
    pub fn var(&self) -> &Table {
        &self.var
    }

    /// Number of values in the file, zeros of dense matrices included.
    #[must_use]
    pub fn stored_values(&self) -> u64 {
        match &self.store {
            Store::Rows(sparse) | Store::Columns(sparse) => sparse.nnz() as u64,
            Store::Dense(dataset) => dataset.len() as u64,
            Store::Memory(csr) => csr.nnz() as u64,
        }
    }

    /// `csr`, `csc` or `dense`.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.store {
            Store::Rows(_) | Store::Memory(_) => "csr",
            Store::Columns(_) => "csc",
            Store::Dense(_) => "dense",
        }
    }

    /// The error for a value that must not be there; its row and column count as in the file, and `matrices` seem to
    /// hold counts.
    pub(super) fn offence(
        &self,
        path: &Path,
        obs: &Table,
        matrices: &[String],
        offence: &Offence,
    ) -> DataError {
        let genes = self.kept.as_ref().map_or(&self.var.index, |kept| &kept.names);
        let path = path.to_owned();
        let at = Box::new(ValueAt {
            dataset: self.name.clone(),
            cell: obs.index[offence.row].clone(),
            gene: genes[offence.column].clone(),
            value: offence.value,
        });
        match offence.reason {
            Some(reason) => DataError::NotCounts { path, at, reason, matrices: matrices.to_vec() },
            None => DataError::NotFinite { path, at },
        }
    }
}
