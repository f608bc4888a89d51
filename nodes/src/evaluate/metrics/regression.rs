//! Errors and explained variance of predicted numbers, such as ln IC50.
//!
//! Values follow scikit-learn 1.9 and SciPy 1.17. Sums run over differences from the first true value, so that a large
//! common offset costs no digits.

use super::error::MetricError;

/// Truth and prediction of `n` things (drug and cell line pairs, say), checked: equal lengths, at least one, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct RegressionSample {
    truth: Vec<f64>,
    prediction: Vec<f64>,
}

impl RegressionSample {
    /// Checks and takes the arrays.
    ///
    /// # Errors
    /// [`MetricError`] when lengths differ, nothing is there, or a value is not finite.
    pub fn new(truth: Vec<f64>, prediction: Vec<f64>) -> Result<Self, MetricError> {
        if truth.len() != prediction.len() {
            let (found, expected) = (prediction.len(), truth.len());
            return Err(MetricError::Length { what: "the list of predictions", found, expected });
        }
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        for values in [&truth, &prediction] {
            if let Some((index, &value)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
                return Err(MetricError::Score { index, value });
            }
        }
        Ok(Self { truth, prediction })
    }

    /// Number of pairs.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sample is never empty")]
    pub fn len(&self) -> usize {
        self.truth.len()
    }

    /// The true values.
    #[must_use]
    pub fn truth(&self) -> &[f64] {
        &self.truth
    }

    /// The predicted values.
    #[must_use]
    pub fn prediction(&self) -> &[f64] {
        &self.prediction
    }

    /// Whether the true values differ at all; without that, shares of explained variance mean nothing.
    #[must_use]
    pub fn truth_varies(&self) -> bool {
        self.truth.iter().any(|v| *v != self.truth[0])
    }

    fn errors(&self) -> impl Iterator<Item = f64> + '_ {
        self.truth.iter().zip(&self.prediction).map(|(t, p)| t - p)
    }

    fn mean_of(&self, value: impl Fn(f64) -> f64) -> f64 {
        self.errors().map(value).sum::<f64>() / self.len() as f64
    }

    /// Mean squared error.
    #[must_use]
    pub fn mse(&self) -> f64 {
        self.mean_of(|e| e * e)
    }

    /// Root of the mean squared error, in the unit of the values.
    #[must_use]
    pub fn rmse(&self) -> f64 {
        self.mse().sqrt()
    }

    /// Mean absolute error.
    #[must_use]
    pub fn mae(&self) -> f64 {
        self.mean_of(f64::abs)
    }

    /// Largest absolute error.
    #[must_use]
    pub fn max_error(&self) -> f64 {
        self.errors().map(f64::abs).fold(0.0, f64::max)
    }

    /// Median of the absolute errors.
    #[must_use]
    pub fn median_absolute_error(&self) -> f64 {
        let mut errors: Vec<f64> = self.errors().map(f64::abs).collect();
        errors.sort_by(f64::total_cmp);
        super::statistics::quantile(&errors, 0.5)
    }

    /// Share of the truth's variance that is explained, `1 - SS(errors) / SS(truth)`; undefined for one value. With
    /// constant truth scikit-learn agrees on 1 (no error) or 0; reports say undefined, see
    /// [`RegressionSample::truth_varies`].
    #[must_use]
    pub fn r2(&self) -> Option<f64> {
        let total = squares(&self.truth);
        self.share(self.errors().map(|e| e * e).sum(), total)
    }

    /// The same after the mean error is taken off.
    #[must_use]
    pub fn explained_variance(&self) -> Option<f64> {
        let total = squares(&self.truth);
        self.share(squares(&self.errors().collect::<Vec<_>>()), total)
    }

    fn share(&self, left: f64, total: f64) -> Option<f64> {
        if self.len() < 2 {
            return None;
        }
        Some(match (self.truth_varies(), left == 0.0) {
            (true, _) => 1.0 - left / total,
            (false, true) => 1.0,
            (false, false) => 0.0,
        })
    }

    /// Concordance correlation (Lin 1989): agreement with the line of identity; undefined for one value or when neither
    /// side varies and both agree.
    #[must_use]
    pub fn concordance(&self) -> Option<f64> {
        if self.len() < 2 {
            return None;
        }
        let (n, origin) = (self.len() as f64, self.truth[0]);
        let mean = |v: &[f64]| v.iter().map(|x| x - origin).sum::<f64>() / n;
        let (mt, mp) = (mean(&self.truth), mean(&self.prediction));
        let pairs = self.truth.iter().zip(&self.prediction);
        let covariance = pairs.map(|(t, p)| (t - origin - mt) * (p - origin - mp)).sum::<f64>() / n;
        let spread = (squares(&self.truth) + squares(&self.prediction)) / n + (mt - mp).powi(2);
        (spread > 0.0).then(|| 2.0 * covariance / spread)
    }

    /// `mean((t - p)² / t)` over `t != 0`, as the scFoundation paper prints its MRE (not a relative error); undefined
    /// when all truth is zero.
    #[must_use]
    pub fn mre_as_printed(&self) -> Option<f64> {
        self.relative(|t, p| (t - p) * (t - p) / t)
    }

    /// Mean of `|t - p| / |t|` over `t != 0`; undefined when all truth is zero.
    #[must_use]
    pub fn mean_absolute_relative_error(&self) -> Option<f64> {
        self.relative(|t, p| ((t - p) / t).abs())
    }

    fn relative(&self, value: impl Fn(f64, f64) -> f64) -> Option<f64> {
        let pairs = self.truth.iter().zip(&self.prediction).filter(|(t, _)| **t != 0.0);
        let (sum, n) = pairs.fold((0.0, 0_usize), |(sum, n), (&t, &p)| (sum + value(t, p), n + 1));
        (n > 0).then(|| sum / n as f64)
    }
}

/// Sum of squared differences from the mean.
pub(super) fn squares(values: &[f64]) -> f64 {
    let Some(&origin) = values.first() else { return 0.0 };
    let mean = values.iter().map(|v| v - origin).sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - origin - mean).powi(2)).sum()
}
