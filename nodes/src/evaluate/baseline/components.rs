//! Leading principal components of a dense matrix: exact for small ones, else by randomised subspace iteration (Halko et
//! al. 2011), whose last components are a little off where the spectrum is flat.
//!
//! The starting block is drawn from a fixed seed and every product runs in one fixed order, so the number of threads
//! does not change a bit.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Col, Mat, MatRef, Par};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::prep::Dense;
use crate::prep::pca::pca;

/// Smaller side of a matrix from which an exact decomposition takes too long.
const EXACT_BELOW: usize = 1500;

/// Columns beyond the wanted ones that steady the iteration.
const EXTRA: usize = 10;
/// Power iterations, as many as scikit-learn takes for few components.
const ROUNDS: usize = 7;

/// A linear map to component scores.
#[derive(Clone, Debug)]
pub struct Components {
    /// Means of the features.
    pub mean: Vec<f64>,
    /// Directions: components × features, by row; unit length, the entry of largest magnitude positive.
    pub directions: Vec<f64>,
    /// Number of components.
    pub count: usize,
}

impl Components {
    /// Scores of rows (row-major), component by component in each row.
    #[must_use]
    pub fn scores(&self, rows: &[f64]) -> Vec<f64> {
        let features = self.mean.len();
        let mut out = Vec::with_capacity(rows.len() / features.max(1) * self.count);
        let mut centred = vec![0.0; features];
        for row in rows.chunks(features.max(1)) {
            centred.iter_mut().zip(row).zip(&self.mean).for_each(|((c, v), m)| *c = v - m);
            for direction in self.directions.chunks(features.max(1)) {
                out.push(direction.iter().zip(&centred).map(|(d, c)| d * c).sum());
            }
        }
        out
    }
}

/// The first `wanted` components (fewer when the matrix has fewer) of a row-major matrix with `features` columns.
/// `None` when the eigenvalue solver fails, which finite input does not cause.
#[must_use]
pub fn leading_components(rows: &[f64], features: usize, wanted: usize) -> Option<Components> {
    let n = rows.len() / features.max(1);
    let count = wanted.min(n.saturating_sub(1)).min(features);
    if count == 0 {
        return Some(Components { mean: means(rows, features), directions: Vec::new(), count });
    }
    if n.min(features) < EXACT_BELOW { exact(rows, features, count) } else { iterated(rows, features, count) }
}

fn means(rows: &[f64], features: usize) -> Vec<f64> {
    let mut mean = vec![0.0; features];
    let n = rows.len() / features.max(1);
    for row in rows.chunks(features.max(1)) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
    }
    mean.iter_mut().for_each(|m| *m /= n.max(1) as f64);
    mean
}

fn exact(rows: &[f64], features: usize, count: usize) -> Option<Components> {
    let dense = Dense::from_vec(rows.len() / features, features, rows.to_vec())?;
    let result = pca(&dense, count, true, &|| false).ok()?;
    let directions = (0..count).flat_map(|c| (0..features).map(move |f| (f, c)));
    let directions = directions.map(|(f, c)| result.loadings.get(f, c)).collect();
    Some(Components { mean: result.means, directions, count })
}

fn iterated(rows: &[f64], features: usize, count: usize) -> Option<Components> {
    let (n, mean) = (rows.len() / features, means(rows, features));
    // Features × cells, one cell a column: contiguous for both products.
    let mut centred = rows.to_vec();
    for row in centred.chunks_mut(features) {
        row.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m);
    }
    let x = MatRef::from_column_major_slice(&centred, features, n);
    let width = (count + EXTRA).min(n).min(features);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut basis =
        Mat::from_fn(features, width, |_, _| f64::from(rng.next_u32()) / f64::from(u32::MAX) - 0.5);
    for _ in 0..ROUNDS {
        let over_cells = orthonormal(&product(x.transpose(), basis.as_ref()));
        basis = orthonormal(&product(x, over_cells.as_ref()));
    }
    // Rayleigh-Ritz: the small eigenproblem inside the subspace.
    let seen = product(x.transpose(), basis.as_ref());
    let rotated = product(basis.as_ref(), eigenvectors(&product(seen.transpose(), seen.as_ref()))?.as_ref());
    let mut directions = Vec::with_capacity(count * features);
    for component in 0..count {
        let column: Vec<f64> = (0..features).map(|f| rotated[(f, width - 1 - component)]).collect();
        let peak = column.iter().copied().fold(0.0_f64, |p, v| if v.abs() > p.abs() { v } else { p });
        let sign = if peak < 0.0 { -1.0 } else { 1.0 };
        directions.extend(column.iter().map(|v| sign * v));
    }
    Some(Components { mean, directions, count })
}

fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::<f64>::zeros(a.nrows(), b.ncols());
    matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

/// Eigenvectors of a symmetric matrix, eigenvalues ascending.
fn eigenvectors(matrix: &Mat<f64>) -> Option<Mat<f64>> {
    let n = matrix.nrows();
    let (mut values, mut vectors) = (Col::<f64>::zeros(n), Mat::<f64>::zeros(n, n));
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    self_adjoint_evd(
        matrix.as_ref(),
        values.as_mut().as_diagonal_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    Some(vectors)
}

/// An orthonormal basis of the columns, by two rounds of modified Gram-Schmidt; a column that depends on the others
/// becomes zero.
fn orthonormal(columns: &Mat<f64>) -> Mat<f64> {
    let (n, k) = (columns.nrows(), columns.ncols());
    let mut q: Vec<Vec<f64>> = Vec::with_capacity(k);
    for j in 0..k {
        let mut v: Vec<f64> = (0..n).map(|i| columns[(i, j)]).collect();
        let before = norm(&v);
        for _ in 0..2 {
            for u in &q {
                let along: f64 = u.iter().zip(&v).map(|(u, v)| u * v).sum();
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
        }
        let after = norm(&v);
        let scale = if after > 1e-12 * before && after > 0.0 { 1.0 / after } else { 0.0 };
        v.iter_mut().for_each(|v| *v *= scale);
        q.push(v);
    }
    Mat::from_fn(n, k, |i, j| q[j][i])
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_an_elongated_cloud_are_found() {
        // Three orthogonal patterns with amplitudes 9, 3, 1 over 8 features.
        let n = 64_i32;
        let pattern = |k: usize, f: usize| (if (f >> k) & 1 == 0 { 1.0 } else { -1.0 }) / 8.0_f64.sqrt();
        let rows: Vec<f64> = (0..n)
            .flat_map(|i| {
                let at = move |k: usize| {
                    ((f64::from(i) + 0.5) * std::f64::consts::PI * (k + 1) as f64 / f64::from(n)).cos()
                };
                (0..8).map(move |f| {
                    5.0 + 9.0 * at(0) * pattern(0, f) + 3.0 * at(1) * pattern(1, f) + at(2) * pattern(2, f)
                })
            })
            .collect();
        for components in [exact(&rows, 8, 3), iterated(&rows, 8, 3)].map(|c| c.expect("components")) {
            for k in 0..3 {
                let direction = &components.directions[k * 8..(k + 1) * 8];
                let along: f64 = (0..8).map(|f| direction[f] * pattern(k, f)).sum();
                assert!((along.abs() - 1.0).abs() < 1e-9, "component {k}: {along}");
            }
            let scores = components.scores(&rows);
            let variance =
                |k: usize| scores.iter().skip(k).step_by(3).map(|s| s * s).sum::<f64>() / f64::from(n);
            for (k, amplitude) in [9.0_f64, 3.0, 1.0].into_iter().enumerate() {
                assert!((variance(k) - amplitude * amplitude / 2.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn few_cells_and_constant_features_are_no_problem() {
        let components = leading_components(&[1.0, 2.0, 1.0, 4.0], 2, 50).expect("components");
        assert_eq!(components.count, 1);
        assert!((components.directions[1] - 1.0).abs() < 1e-12);
        let flat = leading_components(&[3.0; 12], 3, 2).expect("components");
        assert!(flat.scores(&[3.0, 3.0, 3.0]).iter().all(|s| *s == 0.0));
    }
}
