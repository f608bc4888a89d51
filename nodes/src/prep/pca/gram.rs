//! Products of a tall matrix with itself, block by block, in an order that no thread count changes.
//!
//! Work is cut into pieces whose size depends on the matrix only; threads take whole pieces, each of which is computed by
//! one thread. Hence the same bits on one core and on sixty-four.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::scale::Blocks;

/// Rows that are made dense at once.
pub(super) const BLOCK: usize = 512;

/// Columns of the result that one piece of work computes.
const PANEL: usize = 256;

/// Why a long computation ended early: the caller's `stop` said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

/// A matrix with its column means subtracted on the way.
pub(super) struct Centred<'a, B: ?Sized> {
    matrix: &'a B,
    /// What is subtracted; all 0 if the columns are not centred.
    pub(super) means: Vec<f64>,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl<'a, B: Blocks + ?Sized> Centred<'a, B> {
    pub(super) fn new(
        matrix: &'a B,
        center: bool,
        stop: &'a (dyn Fn() -> bool + Sync),
    ) -> Result<Self, Stopped> {
        let mut this = Self { matrix, means: vec![0.0; matrix.n_cols()], stop };
        if center {
            let mut sums = vec![0.0; matrix.n_cols()];
            this.each_block(|_, block| {
                for row in block.col_iter() {
                    sums.iter_mut().zip(row.iter()).for_each(|(sum, value)| *sum += value);
                }
            })?;
            let n = matrix.n_rows().max(1) as f64;
            this.means = sums.into_iter().map(|sum| sum / n).collect();
        }
        Ok(this)
    }

    /// Calls `visit(first row, block)` for every block; a block is columns × rows, one cell a column.
    pub(super) fn each_block(&self, mut visit: impl FnMut(usize, MatRef<'_, f64>)) -> Result<(), Stopped> {
        let mut buffer = Vec::new();
        for block in 0..self.blocks() {
            if (self.stop)() {
                return Err(Stopped);
            }
            let rows = self.fill(block, &mut buffer);
            visit(block * BLOCK, MatRef::from_column_major_slice(&buffer, self.matrix.n_cols(), rows));
        }
        Ok(())
    }

    fn blocks(&self) -> usize {
        self.matrix.n_rows().div_ceil(BLOCK)
    }

    fn fill(&self, block: usize, buffer: &mut Vec<f64>) -> usize {
        let (from, columns) = (block * BLOCK, self.matrix.n_cols());
        let to = (from + BLOCK).min(self.matrix.n_rows());
        buffer.clear();
        buffer.resize((to - from) * columns, 0.0);
        self.matrix.fill(from..to, buffer);
        for row in buffer.chunks_exact_mut(columns.max(1)) {
            row.iter_mut().zip(&self.means).for_each(|(value, mean)| *value -= mean);
        }
        to - from
    }

    /// XᵀX (columns × columns); only the lower triangle is meaningful.
    pub(super) fn of_columns(&self) -> Result<Mat<f64>, Stopped> {
        let size = self.matrix.n_cols();
        let mut gram = Mat::<f64>::zeros(size, size);
        self.each_block(|_, block| {
            let panels: Vec<(usize, MatMut<'_, f64>)> = panels(gram.as_mut());
            panels.into_par_iter().for_each(|(from, panel)| {
                let width = panel.ncols();
                let below = panel.subrows_mut(from, size - from);
                let (lhs, rhs) = (block.subrows(from, size - from), block.subrows(from, width));
                matmul(below, Accum::Add, lhs, rhs.transpose(), 1.0, Par::Seq);
            });
        })?;
        Ok(gram)
    }

    /// XXᵀ (rows × rows); only the lower triangle is meaningful.
    pub(super) fn of_rows(&self) -> Result<Mat<f64>, Stopped> {
        let (size, columns) = (self.matrix.n_rows(), self.matrix.n_cols());
        let mut gram = Mat::<f64>::zeros(size, size);
        let mut other = Vec::new();
        for right in 0..self.blocks() {
            let width = self.fill(right, &mut other);
            let rhs = MatRef::from_column_major_slice(&other, columns, width);
            let column = right * BLOCK;
            let pieces: Vec<usize> = (right..self.blocks()).collect();
            let products: Vec<Result<Mat<f64>, Stopped>> = pieces
                .par_iter()
                .map(|&left| {
                    if (self.stop)() {
                        return Err(Stopped);
                    }
                    let mut buffer = Vec::new();
                    let height = self.fill(left, &mut buffer);
                    let lhs = MatRef::from_column_major_slice(&buffer, columns, height);
                    let mut product = Mat::zeros(height, width);
                    matmul(product.as_mut(), Accum::Replace, lhs.transpose(), rhs, 1.0, Par::Seq);
                    Ok(product)
                })
                .collect();
            for (left, product) in pieces.into_iter().zip(products) {
                let product = product?;
                gram.as_mut().submatrix_mut(left * BLOCK, column, product.nrows(), width).copy_from(&product);
            }
        }
        Ok(gram)
    }
}

/// The matrix cut into panels of [`PANEL`] columns, each with the index of its first column.
fn panels(matrix: MatMut<'_, f64>) -> Vec<(usize, MatMut<'_, f64>)> {
    let (mut rest, mut from, mut out) = (matrix, 0, Vec::new());
    while rest.ncols() > 0 {
        let width = PANEL.min(rest.ncols());
        let (panel, right) = rest.split_at_col_mut(width);
        out.push((from, panel));
        rest = right;
        from += width;
    }
    out
}
