//! A checked binary sample: truth, score of the positive class, optional weights.

use super::error::MetricError;

/// Truth and scores of `n` cells, checked: equal lengths, at least one cell, finite scores, weights not negative.
///
/// The positive class is `true`; a higher score means more likely positive.
#[derive(Clone, Debug)]
pub struct BinarySample {
    truth: Vec<bool>,
    score: Vec<f64>,
    weight: Option<Vec<f64>>,
}

impl BinarySample {
    /// Checks and takes the arrays.
    ///
    /// # Errors
    /// [`MetricError`] when lengths differ, nothing is there, a score is not finite, or a weight is negative.
    pub fn new(truth: Vec<bool>, score: Vec<f64>, weight: Option<Vec<f64>>) -> Result<Self, MetricError> {
        let expected = truth.len();
        if score.len() != expected {
            return Err(MetricError::Length { what: "the list of scores", found: score.len(), expected });
        }
        if expected == 0 {
            return Err(MetricError::Empty);
        }
        if let Some((index, &value)) = score.iter().enumerate().find(|(_, s)| !s.is_finite()) {
            return Err(MetricError::Score { index, value });
        }
        if let Some(weight) = &weight {
            check_weights(weight, expected)?;
        }
        Ok(Self { truth, score, weight })
    }

    /// The same from labels written as numbers, of which only 0 and 1 are accepted.
    ///
    /// # Errors
    /// As [`BinarySample::new`], and [`MetricError::Label`] for anything but 0 and 1.
    pub fn from_numbers(
        labels: &[f64],
        score: Vec<f64>,
        weight: Option<Vec<f64>>,
    ) -> Result<Self, MetricError> {
        let truth = labels
            .iter()
            .enumerate()
            .map(|(index, &value)| match value {
                0.0 => Ok(false),
                1.0 => Ok(true),
                _ => Err(MetricError::Label { index, value, classes: 2 }),
            })
            .collect::<Result<_, _>>()?;
        Self::new(truth, score, weight)
    }

    /// Number of cells.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a sample is never empty")]
    pub fn len(&self) -> usize {
        self.truth.len()
    }

    /// Truth of each cell.
    #[must_use]
    pub fn truth(&self) -> &[bool] {
        &self.truth
    }

    /// Score of each cell.
    #[must_use]
    pub fn score(&self) -> &[f64] {
        &self.score
    }

    /// Weights, when given.
    #[must_use]
    pub fn weights(&self) -> Option<&[f64]> {
        self.weight.as_deref()
    }

    /// Weight of cell `i`; 1 without weights.
    #[must_use]
    pub fn weight(&self, i: usize) -> f64 {
        self.weight.as_ref().map_or(1.0, |w| w[i])
    }

    /// (weight of negatives, weight of positives).
    #[must_use]
    pub fn class_weights(&self) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for (i, &positive) in self.truth.iter().enumerate() {
            *(if positive { &mut sums.1 } else { &mut sums.0 }) += self.weight(i);
        }
        sums
    }

    /// Share of positives.
    #[must_use]
    pub fn prevalence(&self) -> f64 {
        let (negative, positive) = self.class_weights();
        positive / (negative + positive)
    }

    /// Whether all scores lie in 0 to 1, so that they can be read as probabilities.
    #[must_use]
    pub fn is_probability(&self) -> bool {
        self.score.iter().all(|s| (0.0..=1.0).contains(s))
    }

    /// Predicted class per cell: positive when score >= threshold.
    #[must_use]
    pub fn predict(&self, threshold: f64) -> Vec<bool> {
        self.score.iter().map(|&s| s >= threshold).collect()
    }

    /// The same cells with the other class as the positive one; scores become `1 - score`.
    #[must_use]
    pub fn flipped(&self) -> Self {
        Self {
            truth: self.truth.iter().map(|&t| !t).collect(),
            score: self.score.iter().map(|&s| 1.0 - s).collect(),
            weight: self.weight.clone(),
        }
    }
}

/// Finite, not negative, as many as cells, and not all zero.
pub(super) fn check_weights(weight: &[f64], expected: usize) -> Result<(), MetricError> {
    if weight.len() != expected {
        return Err(MetricError::Length { what: "the list of weights", found: weight.len(), expected });
    }
    if let Some((index, &value)) = weight.iter().enumerate().find(|(_, w)| !w.is_finite() || **w < 0.0) {
        return Err(MetricError::Weight { index, value });
    }
    if weight.iter().all(|&w| w == 0.0) {
        return Err(MetricError::NoWeight);
    }
    Ok(())
}
