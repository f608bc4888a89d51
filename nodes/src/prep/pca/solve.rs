//! Exact principal component analysis through the smaller of the two Gram matrices.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Col, Mat, MatRef, Par};
use thiserror::Error;

use super::gram::{Centred, Stopped};
use super::scale::Blocks;
use crate::prep::Dense;

/// Largest smaller side (cells or genes) of a matrix that is decomposed: its square in f64 takes 2 GiB.
pub const MAX_DIMENSION: usize = 16_384;

/// Eigenvalues below this share of the largest belong to directions without variance.
const NOTHING: f64 = 1e-13;

/// Principal components of a matrix of cells × features.
///
/// The sign of a component is chosen such that its loading of largest magnitude is positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Cells × components.
    pub scores: Dense,
    /// Features × components, columns of length 1 (0 for a component without variance).
    pub loadings: Dense,
    /// Per component: variance of its scores (n - 1).
    pub variance: Vec<f64>,
    /// Per component: share of the total variance.
    pub variance_ratio: Vec<f64>,
    /// Per feature: what was subtracted; all 0 without centring.
    pub means: Vec<f64>,
}

/// Why there are no components.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PcaError {
    /// More components than the matrix has rows or columns.
    #[error("{wanted} components of a matrix of {cells} cells and {features} features")]
    TooMany {
        /// Components asked for.
        wanted: usize,
        /// Rows.
        cells: usize,
        /// Columns.
        features: usize,
    },
    /// Both sides exceed [`MAX_DIMENSION`].
    #[error(
        "{cells} cells and {features} features: an exact decomposition takes at most {MAX_DIMENSION} of either"
    )]
    TooLarge {
        /// Rows.
        cells: usize,
        /// Columns.
        features: usize,
    },
    /// A value is infinite or not a number.
    #[error("the matrix holds values that are infinite or not a number")]
    NotFinite,
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
    /// The eigenvalue solver gave up.
    #[error("the eigenvalue solver did not converge")]
    NoConvergence,
}

impl From<Stopped> for PcaError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// The first `components` principal components. `center` subtracts column means first; without it this is the truncated
/// singular value decomposition. `stop` is asked between blocks.
///
/// Gives the same bits for any number of threads.
///
/// # Errors
/// More components than rows or columns, a matrix that is too large or not finite, or a stop.
pub fn pca<B: Blocks + ?Sized>(
    matrix: &B,
    components: usize,
    center: bool,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Pca, PcaError> {
    let (cells, features) = (matrix.n_rows(), matrix.n_cols());
    if components == 0 || components > cells.min(features) {
        return Err(PcaError::TooMany { wanted: components, cells, features });
    }
    if cells.min(features) > MAX_DIMENSION {
        return Err(PcaError::TooLarge { cells, features });
    }
    let centred = Centred::new(matrix, center, stop)?;
    let by_features = features <= cells;
    let gram = if by_features { centred.of_columns()? } else { centred.of_rows()? };
    let total: f64 = (0..gram.nrows()).map(|i| gram[(i, i)]).sum();
    if !total.is_finite() {
        return Err(PcaError::NotFinite);
    }
    let (values, vectors) = largest(&gram, components)?;
    drop(gram);
    if stop() {
        return Err(PcaError::Stopped);
    }

    let mut loadings = if by_features { vectors } else { from_cells(&centred, &values, &vectors)? };
    orient(&mut loadings);
    let mut scores = Dense::zeros(cells, components);
    centred.each_block(|first, block| {
        let mut part = Mat::<f64>::zeros(block.ncols(), components);
        matmul(part.as_mut(), Accum::Replace, block.transpose(), loadings.as_ref(), 1.0, Par::Seq);
        for row in 0..part.nrows() {
            let target = scores.row_mut(first + row);
            target.iter_mut().enumerate().for_each(|(column, value)| *value = part[(row, column)]);
        }
    })?;

    let degrees = (cells as f64 - 1.0).max(1.0);
    let (variance, all) = if center {
        (values.iter().map(|value| value / degrees).collect(), total / degrees)
    } else {
        (column_variances(&scores, degrees), total_variance(&centred, degrees)?)
    };
    let variance: Vec<f64> = variance;
    let variance_ratio = variance.iter().map(|v| if all > 0.0 { v / all } else { 0.0 }).collect();
    Ok(Pca { scores, loadings: to_dense(&loadings), variance, variance_ratio, means: centred.means })
}

impl Pca {
    /// Scores of other cells (rows × features) on these components.
    ///
    /// # Panics
    /// If the number of features differs.
    #[must_use]
    pub fn transform(&self, cells: &Dense) -> Dense {
        assert_eq!(cells.n_cols(), self.means.len(), "features of the new cells");
        let components = self.loadings.n_cols();
        let mut scores = Dense::zeros(cells.n_rows(), components);
        for row in 0..cells.n_rows() {
            let target = scores.row_mut(row);
            for (feature, (value, mean)) in cells.row(row).iter().zip(&self.means).enumerate() {
                let centred = value - mean;
                for (score, loading) in target.iter_mut().zip(self.loadings.row(feature)) {
                    *score += centred * loading;
                }
            }
        }
        scores
    }
}

/// The `k` largest eigenvalues (descending, not below 0) and their vectors, from a lower triangle.
fn largest(gram: &Mat<f64>, k: usize) -> Result<(Vec<f64>, Mat<f64>), PcaError> {
    let n = gram.nrows();
    let mut values = Col::<f64>::zeros(n);
    let mut vectors = Mat::<f64>::zeros(n, n);
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    self_adjoint_evd(
        gram.as_ref(),
        values.as_mut().as_diagonal_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| PcaError::NoConvergence)?;
    let top = (0..k).map(|j| values[n - 1 - j].max(0.0)).collect();
    Ok((top, Mat::from_fn(n, k, |i, j| vectors[(i, n - 1 - j)])))
}

/// Loadings Xᵀu/s from eigenvectors u over cells.
fn from_cells<B: Blocks + ?Sized>(
    centred: &Centred<'_, B>,
    values: &[f64],
    vectors: &Mat<f64>,
) -> Result<Mat<f64>, PcaError> {
    let mut loadings = Mat::<f64>::zeros(centred.means.len(), values.len());
    centred.each_block(|first, block| {
        let part: MatRef<'_, f64> = vectors.subrows(first, block.ncols());
        matmul(loadings.as_mut(), Accum::Add, block, part, 1.0, Par::Seq);
    })?;
    for (column, &value) in values.iter().enumerate() {
        let real = value > NOTHING * values[0] && value > 0.0;
        let factor = if real { 1.0 / value.sqrt() } else { 0.0 };
        loadings.col_mut(column).iter_mut().for_each(|loading| *loading *= factor);
    }
    Ok(loadings)
}

/// Makes the entry of largest magnitude of every column positive.
fn orient(loadings: &mut Mat<f64>) {
    for column in 0..loadings.ncols() {
        let mut peak = 0.0_f64;
        for &value in loadings.col(column).iter() {
            if value.abs() > peak.abs() {
                peak = value;
            }
        }
        if peak < 0.0 {
            loadings.col_mut(column).iter_mut().for_each(|value| *value = -*value);
        }
    }
}

fn to_dense(matrix: &Mat<f64>) -> Dense {
    let mut dense = Dense::zeros(matrix.nrows(), matrix.ncols());
    for row in 0..matrix.nrows() {
        let target = dense.row_mut(row);
        target.iter_mut().enumerate().for_each(|(column, value)| *value = matrix[(row, column)]);
    }
    dense
}

fn column_variances(matrix: &Dense, degrees: f64) -> Vec<f64> {
    let n = matrix.n_rows() as f64;
    let one = |column: usize| {
        let values = (0..matrix.n_rows()).map(|row| matrix.get(row, column));
        let mean = values.clone().sum::<f64>() / n;
        values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / degrees
    };
    (0..matrix.n_cols()).map(one).collect()
}

/// Sum of the variances of all features of a matrix that was not centred.
fn total_variance<B: Blocks + ?Sized>(matrix: &Centred<'_, B>, degrees: f64) -> Result<f64, PcaError> {
    let (mut count, mut means) = (0.0, vec![0.0; matrix.means.len()]);
    let mut squares = 0.0;
    matrix.each_block(|_, block| {
        for row in block.col_iter() {
            count += 1.0;
            for (mean, &value) in means.iter_mut().zip(row.iter()) {
                let delta = value - *mean;
                *mean += delta / count;
                squares += delta * (value - *mean);
            }
        }
    })?;
    Ok(squares / degrees)
}
