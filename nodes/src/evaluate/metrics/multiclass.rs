//! Metrics of class probabilities with more than two classes.

use super::error::MetricError;
use super::ranking::auroc;
use super::sample::BinarySample;

/// Truth and one score per class for each of `n` cells.
#[derive(Clone, Debug)]
pub struct ProbabilityTable {
    classes: usize,
    truth: Vec<usize>,
    scores: Vec<f64>,
}

impl ProbabilityTable {
    /// `scores` by row, one column a class.
    ///
    /// # Errors
    /// [`MetricError`] for lengths that differ, no cells, labels outside the classes, scores that are not finite.
    pub fn new(classes: usize, truth: Vec<usize>, scores: Vec<f64>) -> Result<Self, MetricError> {
        let expected = truth.len() * classes;
        if scores.len() != expected {
            return Err(MetricError::Length { what: "the table of scores", found: scores.len(), expected });
        }
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        if let Some((index, &label)) = truth.iter().enumerate().find(|(_, t)| **t >= classes) {
            return Err(MetricError::Label { index, value: label as f64, classes });
        }
        if let Some((index, &value)) = scores.iter().enumerate().find(|(_, s)| !s.is_finite()) {
            return Err(MetricError::Score { index: index / classes, value });
        }
        Ok(Self { classes, truth, scores })
    }

    fn rows(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.truth.iter().copied().zip(self.scores.chunks(self.classes))
    }

    /// Class with the highest score per cell; ties go to the lower index.
    #[must_use]
    pub fn argmax(&self) -> Vec<usize> {
        self.rows().map(|(_, row)| argmax(row)).collect()
    }

    /// One class against the rest; undefined when the class is absent or alone.
    #[must_use]
    pub fn auroc_of_class(&self, class: usize) -> Option<f64> {
        let truth = self.truth.iter().map(|&t| t == class).collect();
        let score = self.rows().map(|(_, row)| row[class]).collect();
        auroc(&BinarySample::new(truth, score, None).ok()?)
    }

    /// Mean over classes of one against the rest, plain or weighted by class size; undefined when a class is absent.
    #[must_use]
    pub fn auroc_ovr(&self, weighted: bool) -> Option<f64> {
        let (mut sum, mut total) = (0.0, 0.0);
        for class in 0..self.classes {
            let size = self.truth.iter().filter(|&&t| t == class).count();
            let weight = if weighted { size as f64 } else { 1.0 };
            sum += weight * self.auroc_of_class(class)?;
            total += weight;
        }
        (total > 0.0).then(|| sum / total)
    }

    /// Mean over ordered pairs of classes (Hand and Till 2001); undefined when a class is absent.
    #[must_use]
    pub fn auroc_ovo(&self) -> Option<f64> {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for a in 0..self.classes {
            for b in (0..self.classes).filter(|&b| b != a) {
                let pair: Vec<_> = self.rows().filter(|(t, _)| *t == a || *t == b).collect();
                let truth = pair.iter().map(|(t, _)| *t == a).collect();
                let score = pair.iter().map(|(_, row)| row[a]).collect();
                sum += auroc(&BinarySample::new(truth, score, None).ok()?)?;
                pairs += 1.0;
            }
        }
        (pairs > 0.0).then(|| sum / pairs)
    }

    /// Mean negative log of the true class's probability, clipped by the machine epsilon; undefined when scores are
    /// no probabilities.
    #[must_use]
    pub fn log_loss(&self) -> Option<f64> {
        if !self.scores.iter().all(|s| (0.0..=1.0).contains(s)) {
            return None;
        }
        let sum: f64 = self.rows().map(|(t, row)| -row[t].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()).sum();
        Some(sum / self.truth.len() as f64)
    }

    /// Share of cells whose true class is among the `k` highest scores; ties rank the lower index first.
    #[must_use]
    pub fn top_k_accuracy(&self, k: usize) -> f64 {
        let hits = self.rows().filter(|(t, row)| {
            let above = |(c, s): (usize, &f64)| *s > row[*t] || (*s == row[*t] && c < *t);
            row.iter().enumerate().filter(|&x| above(x)).count() < k
        });
        hits.count() as f64 / self.truth.len() as f64
    }
}

/// Index of the largest value; the first of equals.
pub(crate) fn argmax(row: &[f64]) -> usize {
    let mut best = 0;
    for (i, &v) in row.iter().enumerate() {
        if v > row[best] {
            best = i;
        }
    }
    best
}
