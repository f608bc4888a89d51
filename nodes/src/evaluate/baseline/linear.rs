//! Linear regression with a ridge or LASSO penalty, with the objectives of scikit-learn.
//!
//! Features are brought to mean 0 and standard deviation 1 (n) on the training rows and the intercept is free, so that the
//! penalty treats every feature alike. Nothing is drawn.

use faer::Mat;
use faer::linalg::solvers::Solve;

use super::features::Features;

/// Most sweeps of the coordinate descent.
const SWEEPS: usize = 2000;
/// Largest duality gap at the end, as a share of the squared norm of the centred response.
const GAP: f64 = 1e-8;

/// What is added to the squared error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Penalty {
    /// Minimises |y - Xw|² + alpha |w|².
    Ridge {
        /// Strength.
        alpha: f64,
    },
    /// Minimises |y - Xw|² / 2n + alpha |w|₁.
    Lasso {
        /// Strength.
        alpha: f64,
    },
}

/// A fitted linear regression.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// Slopes for standardised features.
    pub slopes: Vec<f64>,
    /// Mean response.
    pub intercept: f64,
}

impl LinearModel {
    /// Fits one number a row. `None` without rows.
    #[must_use]
    pub fn fit(x: &Features, y: &[f64], penalty: Penalty) -> Option<Self> {
        let n = y.len();
        if n == 0 {
            return None;
        }
        let (mean, scale) = standard(x, n);
        let z: Vec<f64> = x.rows().flat_map(|row| standardised(row, &mean, &scale)).collect();
        let intercept = y.iter().sum::<f64>() / n as f64;
        let rest: Vec<f64> = y.iter().map(|y| y - intercept).collect();
        let slopes = match penalty {
            Penalty::Ridge { alpha } => ridge(&z, x.dim, &rest, alpha),
            Penalty::Lasso { alpha } => lasso(&z, x.dim, &rest, alpha * n as f64),
        };
        Some(Self { mean, scale, slopes, intercept })
    }

    /// The prediction for one row of features.
    #[must_use]
    pub fn predict(&self, row: &[f64]) -> f64 {
        let along = standardised(row, &self.mean, &self.scale).zip(&self.slopes).map(|(z, w)| z * w);
        self.intercept + along.sum::<f64>()
    }
}

fn standard(x: &Features, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut mean = vec![0.0; x.dim];
    for row in x.rows() {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n as f64);
    }
    let mut square = vec![0.0; x.dim];
    for row in x.rows() {
        square.iter_mut().zip(row).zip(&mean).for_each(|((s, v), m)| *s += (v - m).powi(2) / n as f64);
    }
    // A constant feature says nothing; rounding dust must not be blown up.
    let sd =
        |(s, m): (&f64, &f64)| if s.sqrt() > 1e-12 * m.abs().max(1e-300) { s.sqrt() } else { f64::INFINITY };
    let scale = square.iter().zip(&mean).map(sd).collect();
    (mean, scale)
}

fn standardised<'a>(row: &'a [f64], mean: &'a [f64], scale: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    row.iter().zip(mean).zip(scale).map(|((v, m), s)| (v - m) / s)
}

/// In the smaller of the two spaces, cells or features.
fn ridge(z: &[f64], dim: usize, y: &[f64], alpha: f64) -> Vec<f64> {
    let n = y.len();
    let x = Mat::from_fn(n, dim, |row, column| z[row * dim + column]);
    let y = Mat::from_fn(n, 1, |row, _| y[row]);
    let with_alpha = |mut gram: Mat<f64>| {
        (0..gram.nrows()).for_each(|i| gram[(i, i)] += alpha);
        gram
    };
    let slopes = if dim <= n {
        with_alpha(x.transpose() * &x).partial_piv_lu().solve(x.transpose() * &y)
    } else {
        x.transpose() * with_alpha(&x * x.transpose()).partial_piv_lu().solve(&y)
    };
    (0..dim).map(|i| slopes[(i, 0)]).collect()
}

/// Cyclic coordinate descent on |y - Xw|² / 2 + `strength` |w|₁ (Friedman et al. 2010), until the duality gap is closed.
fn lasso(z: &[f64], dim: usize, y: &[f64], strength: f64) -> Vec<f64> {
    let n = y.len();
    // One feature after the other: the descent walks down columns.
    let columns: Vec<Vec<f64>> = (0..dim).map(|c| (0..n).map(|r| z[r * dim + c]).collect()).collect();
    let norms: Vec<f64> = columns.iter().map(|c| dot(c, c)).collect();
    let (mut slopes, mut rest) = (vec![0.0; dim], y.to_vec());
    let small = GAP * dot(y, y);
    for _ in 0..SWEEPS {
        for (c, column) in columns.iter().enumerate() {
            if norms[c] == 0.0 {
                continue;
            }
            let along = dot(column, &rest) + norms[c] * slopes[c];
            let new = along.signum() * (along.abs() - strength).max(0.0) / norms[c];
            let step = new - slopes[c];
            if step != 0.0 {
                rest.iter_mut().zip(column).for_each(|(r, v)| *r -= step * v);
                slopes[c] = new;
            }
        }
        if gap(&columns, y, &rest, &slopes, strength) <= small {
            break;
        }
    }
    slopes
}

/// How far the objective is from its minimum at most.
fn gap(columns: &[Vec<f64>], y: &[f64], rest: &[f64], slopes: &[f64], strength: f64) -> f64 {
    let steepest = columns.iter().map(|c| dot(c, rest).abs()).fold(0.0, f64::max);
    // The residual, shrunk until it is feasible for the dual problem.
    let shrink = if steepest > strength { strength / steepest } else { 1.0 };
    let size: f64 = slopes.iter().map(|w| w.abs()).sum();
    let primal = 0.5 * dot(rest, rest) + strength * size;
    let dual = shrink * dot(rest, y) - 0.5 * shrink * shrink * dot(rest, rest);
    primal - dual
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 rows of 3 features, the last of them constant, and 2 x₀ - x₁ with a wobble.
    fn data() -> (Features, Vec<f64>) {
        let rows = (0..30).map(|i| {
            let (a, b) = ((f64::from(i) * 0.7).sin() * 3.0, (f64::from(i) * 1.3).cos());
            ([a, b, 5.0], 2.0 * a - b + 4.0 + (f64::from(i) * 2.9).sin() * 0.1)
        });
        let (x, y): (Vec<[f64; 3]>, Vec<f64>) = rows.unzip();
        (Features { dim: 3, values: x.concat() }, y)
    }

    #[test]
    fn without_a_penalty_both_are_least_squares() {
        let (x, y) = data();
        for penalty in [Penalty::Ridge { alpha: 1e-9 }, Penalty::Lasso { alpha: 1e-9 }] {
            let model = LinearModel::fit(&x, &y, penalty).expect("rows");
            // The gradient of the squared error vanishes at the least squares fit.
            let rest: Vec<f64> = x.rows().zip(&y).map(|(row, y)| y - model.predict(row)).collect();
            for c in 0..2 {
                let along: f64 = x.rows().zip(&rest).map(|(row, r)| row[c] * r).sum();
                assert!(along.abs() < 1e-4, "{penalty:?}: {along}");
            }
            assert_eq!(model.slopes[2], 0.0, "a constant feature has no slope");
        }
    }

    #[test]
    fn slopes_are_those_of_scikit_learn() {
        // make_pipeline(StandardScaler(), Ridge(7) or Lasso(1, 0.3)) of scikit-learn 1.9.1 on the same numbers.
        let (x, y) = data();
        for (penalty, slopes, at) in [
            (
                Penalty::Ridge { alpha: 7.0 },
                [3.422_249_706_881_52, -0.585_869_381_871_495],
                5.274_273_859_813_87,
            ),
            (Penalty::Lasso { alpha: 1.0 }, [3.225_781_814_045_8, 0.0], 5.577_726_676_546_88),
            (
                Penalty::Lasso { alpha: 0.3 },
                [3.922_206_788_305_74, -0.418_299_317_847_584],
                5.579_902_393_146_34,
            ),
        ] {
            let model = LinearModel::fit(&x, &y, penalty).expect("rows");
            for (found, expected) in model.slopes.iter().zip(slopes) {
                assert!((found - expected).abs() < 1e-5, "{penalty:?}: {found} instead of {expected}");
            }
            let found = model.predict(&[1.0, 0.5, 5.0]);
            assert!((found - at).abs() < 1e-5, "{penalty:?}: {found} instead of {at}");
            assert!((model.intercept - 4.308_440_691_386_66).abs() < 1e-12);
        }
    }

    #[test]
    fn the_optimum_meets_its_conditions() {
        let (x, y) = data();
        let (n, mean_y) = (y.len() as f64, y.iter().sum::<f64>() / y.len() as f64);
        let ridge = LinearModel::fit(&x, &y, Penalty::Ridge { alpha: 7.0 }).expect("rows");
        let lasso = LinearModel::fit(&x, &y, Penalty::Lasso { alpha: 1.0 }).expect("rows");
        assert!((ridge.intercept - mean_y).abs() < 1e-12);
        let slope_of_error = |model: &LinearModel, c: usize| -> f64 {
            let z = |row: &[f64]| (row[c] - model.mean[c]) / model.scale[c];
            x.rows().zip(&y).map(|(row, y)| z(row) * (y - model.predict(row))).sum()
        };
        for c in 0..2 {
            let pull = slope_of_error(&ridge, c) - 7.0 * ridge.slopes[c];
            assert!(pull.abs() < 1e-8, "ridge {c}: {pull}");
            let steep = slope_of_error(&lasso, c) / n;
            if lasso.slopes[c] == 0.0 {
                assert!(steep.abs() <= 1.0 + 1e-6);
            } else {
                assert!((steep - lasso.slopes[c].signum()).abs() < 1e-3, "lasso {c}: {steep}");
            }
        }
        assert!(lasso.slopes[0] > 1.0 && lasso.slopes[1] == 0.0, "{:?}", lasso.slopes);
        // More features than rows: the other way to solve gives the same predictions.
        let wide = Features { dim: 60, values: x.rows().flat_map(|r| r.repeat(20)).collect() };
        let model = LinearModel::fit(&wide, &y, Penalty::Ridge { alpha: 140.0 }).expect("rows");
        let row: Vec<f64> = [1.0, 0.5, 5.0].repeat(20);
        assert!((model.predict(&row) - ridge.predict(&[1.0, 0.5, 5.0])).abs() < 1e-8);
    }
}
