//! Compressed sparse rows: cells × genes in the one form that everything after the readers works on.
//!
//! A [`Csr`] is canonical from birth: column indices ascend strictly within a row, duplicates have been summed and
//! explicit zeros dropped. Two files that hold the same counts therefore give equal values, whatever their encoding.

use thiserror::Error;

mod build;
mod select;
#[cfg(test)]
mod tests;

pub(crate) use build::check_offsets;

/// A sparse matrix, rows = cells, columns = genes, values f32 (exact for counts up to 2^24).
#[derive(Debug, Clone, PartialEq)]
pub struct Csr {
    n_cols: usize,
    indptr: Vec<u64>,
    indices: Vec<u32>,
    values: Vec<f32>,
}

/// Why three arrays are no compressed-row matrix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CsrError {
    /// `indptr` has no element, does not begin with 0, decreases, or does not end at the number of stored values.
    #[error("indptr is broken at position {at}: {problem}")]
    Indptr {
        /// Position in `indptr`.
        at: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// `indices` and `values` differ in length.
    #[error("{indices} column indices for {values} values")]
    Lengths {
        /// Number of column indices.
        indices: usize,
        /// Number of values.
        values: usize,
    },
    /// A column index lies outside the matrix.
    #[error("row {row} names column {column}, but the matrix has {n_cols} columns")]
    Column {
        /// Row, counted from 0.
        row: usize,
        /// The offending column index.
        column: u32,
        /// Number of columns.
        n_cols: usize,
    },
}

impl Csr {
    /// A matrix of `n_cols` columns without rows.
    #[must_use]
    pub fn empty(n_cols: usize) -> Self {
        Self { n_cols, indptr: vec![0], indices: Vec::new(), values: Vec::new() }
    }

    /// Number of rows (cells).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of columns (genes).
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Number of stored values; none of them is zero.
    #[must_use]
    pub fn nnz(&self) -> usize {
        self.indices.len()
    }

    /// Column indices (strictly ascending) and values of row `i`.
    ///
    /// # Panics
    /// If `i` is not below [`Csr::rows`].
    #[must_use]
    pub fn row(&self, i: usize) -> (&[u32], &[f32]) {
        let span = self.span(i);
        (&self.indices[span.clone()], &self.values[span])
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u32], &[f32])> {
        (0..self.rows()).map(|i| self.row(i))
    }

    /// Offsets of the rows in [`Csr::indices`] and [`Csr::values`]; `rows() + 1` elements.
    #[must_use]
    pub fn indptr(&self) -> &[u64] {
        &self.indptr
    }

    /// Column index of every stored value, row after row.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Stored values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Number of stored values of row `i`: how many genes the cell expresses.
    #[must_use]
    pub fn row_nnz(&self, i: usize) -> usize {
        self.span(i).len()
    }

    /// Sum of row `i` in f64: the cell's library size.
    #[must_use]
    pub fn row_sum(&self, i: usize) -> f64 {
        self.row(i).1.iter().map(|&v| f64::from(v)).sum()
    }

    /// The value at (`row`, `column`); 0 where nothing is stored.
    #[must_use]
    pub fn get(&self, row: usize, column: u32) -> f32 {
        let (indices, values) = self.row(row);
        indices.binary_search(&column).map_or(0.0, |at| values[at])
    }

    /// Row `i` with its zeros, `n_cols` long.
    #[must_use]
    pub fn to_dense_row(&self, i: usize) -> Vec<f32> {
        let mut dense = vec![0.0; self.n_cols];
        self.write_dense_row(i, &mut dense);
        dense
    }

    /// Writes row `i` with its zeros into `dense`, which must be `n_cols` long.
    pub fn write_dense_row(&self, i: usize, dense: &mut [f32]) {
        dense.fill(0.0);
        let (indices, values) = self.row(i);
        for (&column, &value) in indices.iter().zip(values) {
            dense[column as usize] = value;
        }
    }

    /// Replaces every stored value by `f(row, column, value)`; zeros that arise are dropped.
    pub fn map_values(&mut self, mut f: impl FnMut(usize, u32, f32) -> f32) {
        let mut zero = false;
        for row in 0..self.rows() {
            for at in self.span(row) {
                let value = f(row, self.indices[at], self.values[at]);
                zero |= value == 0.0;
                self.values[at] = value;
            }
        }
        if zero {
            self.canonicalize();
        }
    }

    /// The four arrays: columns, indptr, indices, values.
    #[must_use]
    pub fn into_parts(self) -> (usize, Vec<u64>, Vec<u32>, Vec<f32>) {
        (self.n_cols, self.indptr, self.indices, self.values)
    }

    fn span(&self, i: usize) -> std::ops::Range<usize> {
        self.indptr[i] as usize..self.indptr[i + 1] as usize
    }
}
