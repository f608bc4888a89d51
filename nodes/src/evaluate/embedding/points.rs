//! Cells as points, and distances between them.

use super::super::metrics::MetricError;

/// Lanes of a sum: the order of additions is fixed, and a compiler can use vector registers.
const LANES: usize = 8;

/// One vector a cell, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    dim: usize,
    values: Vec<f64>,
}

/// What "near" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// Length of the difference.
    Euclidean,
    /// 1 - cosine of the angle; of a zero vector 1.
    Cosine,
}

impl Points {
    /// `values` row after row, `dim` a cell.
    ///
    /// # Errors
    /// [`MetricError`] when there is no cell, rows are incomplete, or a value is not finite.
    pub fn new(dim: usize, values: Vec<f64>) -> Result<Self, MetricError> {
        if dim == 0 || values.is_empty() {
            return Err(MetricError::Empty);
        }
        if !values.len().is_multiple_of(dim) {
            let expected = values.len().div_ceil(dim) * dim;
            return Err(MetricError::Length { what: "the table of vectors", found: values.len(), expected });
        }
        if let Some((at, &value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(MetricError::Score { index: at / dim, value });
        }
        Ok(Self { dim, values })
    }

    /// Number of cells.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a cell")]
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Length of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Vector of cell `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// Some of the cells, in the given order.
    #[must_use]
    pub fn select(&self, cells: &[usize]) -> Self {
        Self { dim: self.dim, values: cells.iter().flat_map(|&c| self.row(c).iter().copied()).collect() }
    }

    /// The points that a distance works on: as they are, or for the cosine with length 1 (zero stays zero).
    #[must_use]
    pub fn prepared(&self, distance: Distance) -> Self {
        let mut out = self.clone();
        if distance == Distance::Cosine {
            for row in out.values.chunks_mut(self.dim) {
                let length = dot(row, row).sqrt();
                if length > 0.0 {
                    row.iter_mut().for_each(|v| *v /= length);
                }
            }
        }
        out
    }

    /// Distance of two cells of prepared points.
    #[must_use]
    pub fn distance(&self, a: usize, b: usize, distance: Distance) -> f64 {
        match distance {
            Distance::Euclidean => squared_distance(self.row(a), self.row(b)).sqrt(),
            Distance::Cosine if a == b => 0.0,
            Distance::Cosine => (1.0 - dot(self.row(a), self.row(b))).clamp(0.0, 2.0),
        }
    }

    /// Mean of some cells.
    #[must_use]
    pub fn centre(&self, cells: &[usize]) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for &cell in cells {
            mean.iter_mut().zip(self.row(cell)).for_each(|(m, v)| *m += v);
        }
        mean.iter_mut().for_each(|m| *m /= cells.len().max(1) as f64);
        mean
    }
}

/// Sum of `f` over pairs of entries, in a fixed order.
fn lanes(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = whole_a.remainder().iter().zip(whole_b.remainder()).map(|(x, y)| f(*x, *y)).sum();
    for (x, y) in whole_a.zip(whole_b) {
        for lane in 0..LANES {
            sums[lane] += f(x[lane], y[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    lanes(a, b, |x, y| x * y)
}

/// Squared Euclidean distance.
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    lanes(a, b, |x, y| (x - y) * (x - y))
}
