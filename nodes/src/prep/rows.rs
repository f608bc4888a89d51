//! Walking a cells × genes matrix row by row, wherever it lives.

use std::convert::Infallible;

use celldag_data::Csr;

/// What a walk calls for every row: its number, its columns (ascending strictly) and their values, none of them zero.
pub type Visit<'a> = dyn FnMut(usize, &[u32], &[f64]) + 'a;

/// A sparse matrix (cells × genes) that can be walked as often as needed, always in the same order.
pub trait Rows {
    /// Why a walk can fail; [`Infallible`] for matrices in memory.
    type Error;

    /// Number of rows (cells).
    fn n_rows(&self) -> usize;

    /// Number of columns (genes).
    fn n_cols(&self) -> usize;

    /// Calls `visit(row, columns, values)` for every row in order.
    ///
    /// # Errors
    /// When the rows cannot be read.
    fn each_row(&self, visit: &mut Visit<'_>) -> Result<(), Self::Error>;

    /// The same matrix with every stored value `v` of row `i` replaced by `f(i, v)`.
    fn map<F: Fn(usize, f64) -> f64>(&self, f: F) -> Mapped<'_, Self, F>
    where
        Self: Sized,
    {
        Mapped { inner: self, f }
    }

    /// The same matrix with only the columns where `keep` is true, renumbered from 0 in their old order.
    fn genes(&self, keep: &[bool]) -> GeneSubset<'_, Self>
    where
        Self: Sized,
    {
        GeneSubset::new(self, keep)
    }
}

/// Rows of a matrix in memory: all of them, or a subset in a given order.
#[derive(Clone, Copy, Debug)]
pub struct SparseRows<'a> {
    matrix: &'a Csr,
    rows: Option<&'a [usize]>,
}

impl<'a> SparseRows<'a> {
    /// All rows.
    #[must_use]
    pub fn all(matrix: &'a Csr) -> Self {
        Self { matrix, rows: None }
    }

    /// The rows `rows`, in that order; row `i` of the walk is `rows[i]` of the matrix.
    #[must_use]
    pub fn subset(matrix: &'a Csr, rows: &'a [usize]) -> Self {
        Self { matrix, rows: Some(rows) }
    }
}

impl Rows for SparseRows<'_> {
    type Error = Infallible;

    fn n_rows(&self) -> usize {
        self.rows.map_or_else(|| self.matrix.rows(), <[usize]>::len)
    }

    fn n_cols(&self) -> usize {
        self.matrix.n_cols()
    }

    fn each_row(&self, visit: &mut Visit<'_>) -> Result<(), Infallible> {
        let mut wide = Vec::new();
        for row in 0..self.n_rows() {
            let (columns, values) = self.matrix.row(self.rows.map_or(row, |rows| rows[row]));
            wide.clear();
            wide.extend(values.iter().map(|&v| f64::from(v)));
            visit(row, columns, &wide);
        }
        Ok(())
    }
}

/// A matrix whose stored values are changed on the way ([`Rows::map`]); zeros stay zero.
#[derive(Clone, Copy, Debug)]
pub struct Mapped<'a, R, F> {
    inner: &'a R,
    f: F,
}

impl<R: Rows, F: Fn(usize, f64) -> f64> Rows for Mapped<'_, R, F> {
    type Error = R::Error;

    fn n_rows(&self) -> usize {
        self.inner.n_rows()
    }

    fn n_cols(&self) -> usize {
        self.inner.n_cols()
    }

    fn each_row(&self, visit: &mut Visit<'_>) -> Result<(), R::Error> {
        let mut changed = Vec::new();
        self.inner.each_row(&mut |row, columns, values| {
            changed.clear();
            changed.extend(values.iter().map(|&v| (self.f)(row, v)));
            visit(row, columns, &changed);
        })
    }
}

/// A matrix with some of its columns ([`Rows::genes`]).
#[derive(Clone, Debug)]
pub struct GeneSubset<'a, R> {
    inner: &'a R,
    new_column: Vec<Option<u32>>,
    n_cols: usize,
}

impl<'a, R: Rows> GeneSubset<'a, R> {
    fn new(inner: &'a R, keep: &[bool]) -> Self {
        let mut n_cols = 0;
        let new_column = keep
            .iter()
            .map(|&kept| {
                kept.then(|| {
                    n_cols += 1;
                    n_cols as u32 - 1
                })
            })
            .collect();
        Self { inner, new_column, n_cols }
    }
}

impl<R: Rows> Rows for GeneSubset<'_, R> {
    type Error = R::Error;

    fn n_rows(&self) -> usize {
        self.inner.n_rows()
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn each_row(&self, visit: &mut Visit<'_>) -> Result<(), R::Error> {
        let (mut kept_columns, mut kept_values) = (Vec::new(), Vec::new());
        self.inner.each_row(&mut |row, columns, values| {
            kept_columns.clear();
            kept_values.clear();
            for (&column, &value) in columns.iter().zip(values) {
                if let Some(new) = self.new_column[column as usize] {
                    kept_columns.push(new);
                    kept_values.push(value);
                }
            }
            visit(row, &kept_columns, &kept_values);
        })
    }
}
