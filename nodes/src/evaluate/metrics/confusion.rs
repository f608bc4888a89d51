//! The confusion matrix and everything that follows from it alone.

use super::averages::{Average, ClassScores, PrecisionRecallF1, ZeroDivision};
use super::error::MetricError;
use super::sample::{BinarySample, check_weights};

/// Weighted counts, `truth` by row and `prediction` by column, over the declared classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<f64>,
}

impl Confusion {
    /// Counts pairs of class indices.
    ///
    /// # Errors
    /// [`MetricError`] for lengths that differ, no cells, an index outside the classes or bad weights.
    pub fn new(
        classes: usize,
        truth: &[usize],
        prediction: &[usize],
        weight: Option<&[f64]>,
    ) -> Result<Self, MetricError> {
        if prediction.len() != truth.len() {
            let (found, expected) = (prediction.len(), truth.len());
            return Err(MetricError::Length { what: "the list of predictions", found, expected });
        }
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        if let Some(weight) = weight {
            check_weights(weight, truth.len())?;
        }
        let mut counts = vec![0.0; classes * classes];
        for (index, (&t, &p)) in truth.iter().zip(prediction).enumerate() {
            for label in [t, p] {
                if label >= classes {
                    return Err(MetricError::Label { index, value: label as f64, classes });
                }
            }
            counts[t * classes + p] += weight.map_or(1.0, |w| w[index]);
        }
        Ok(Self { classes, counts })
    }

    /// Two classes: 1 is positive, predicted when score >= threshold.
    #[must_use]
    pub fn at_threshold(sample: &BinarySample, threshold: f64) -> Self {
        let mut counts = vec![0.0; 4];
        for (i, &t) in sample.truth().iter().enumerate() {
            counts[usize::from(t) * 2 + usize::from(sample.score()[i] >= threshold)] += sample.weight(i);
        }
        Self { classes: 2, counts }
    }

    /// Number of declared classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Weight of cells with this truth and this prediction.
    #[must_use]
    pub fn count(&self, truth: usize, prediction: usize) -> f64 {
        self.counts[truth * self.classes + prediction]
    }

    /// The matrix by row.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<f64>> {
        self.counts.chunks(self.classes).map(<[f64]>::to_vec).collect()
    }

    /// Weight of cells whose truth is `class`.
    #[must_use]
    pub fn support(&self, class: usize) -> f64 {
        (0..self.classes).map(|p| self.count(class, p)).sum()
    }

    /// Weight of cells predicted as `class`.
    #[must_use]
    pub fn predicted(&self, class: usize) -> f64 {
        (0..self.classes).map(|t| self.count(t, class)).sum()
    }

    /// Weight of all cells.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    fn correct(&self) -> f64 {
        (0..self.classes).map(|c| self.count(c, c)).sum()
    }

    /// Share of right predictions.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.correct() / self.total()
    }

    /// Mean recall over the classes that occur in the truth. With two declared classes both must occur; a mean over
    /// the one class that is there would hide that half of the question was never asked.
    #[must_use]
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let recalls: Vec<f64> = (0..self.classes)
            .filter(|&c| self.support(c) > 0.0)
            .map(|c| self.count(c, c) / self.support(c))
            .collect();
        (!recalls.is_empty() && (self.classes != 2 || recalls.len() == 2))
            .then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// Matthews correlation, multi-class form (Gorodkin 2004). Undefined when truth or prediction is constant, where
    /// scikit-learn says 0.
    #[must_use]
    pub fn mcc(&self) -> Option<f64> {
        let n = self.total();
        let (mut tp, mut tt, mut pp) = (0.0, 0.0, 0.0);
        for c in 0..self.classes {
            let (t, p) = (self.support(c), self.predicted(c));
            tp += t * p;
            tt += t * t;
            pp += p * p;
        }
        let denominator = (n * n - tt) * (n * n - pp);
        // Weighted sums leave rounding dust where the exact value is zero.
        if denominator <= 1e-14 * n * n * n * n {
            return None;
        }
        Some((self.correct() * n - tp) / denominator.sqrt())
    }

    /// Cohen's kappa; undefined when chance agreement is complete.
    #[must_use]
    pub fn cohen_kappa(&self) -> Option<f64> {
        let n = self.total();
        let chance = (0..self.classes).map(|c| self.support(c) * self.predicted(c)).sum::<f64>() / (n * n);
        (chance < 1.0).then(|| (self.accuracy() - chance) / (1.0 - chance))
    }

    /// Precision, recall and F1 of one class.
    #[must_use]
    pub fn of_class(&self, class: usize, zero: ZeroDivision) -> PrecisionRecallF1 {
        PrecisionRecallF1::from_counts(
            self.count(class, class),
            self.predicted(class),
            self.support(class),
            zero,
        )
    }

    /// Precision, recall and F1 of the positive class (1) of a two-class matrix.
    #[must_use]
    pub fn positive_class(&self, zero: ZeroDivision) -> PrecisionRecallF1 {
        self.of_class(1, zero)
    }

    /// All classes separately.
    #[must_use]
    pub fn per_class(&self, zero: ZeroDivision) -> Vec<ClassScores> {
        (0..self.classes)
            .map(|c| ClassScores { scores: self.of_class(c, zero), support: self.support(c) })
            .collect()
    }

    /// Classes that occur in truth or prediction.
    #[must_use]
    pub fn seen(&self) -> Vec<usize> {
        (0..self.classes).filter(|&c| self.support(c) > 0.0 || self.predicted(c) > 0.0).collect()
    }

    /// Averages over `labels` (all declared ones, or [`Confusion::seen`]).
    #[must_use]
    pub fn average(&self, how: Average, labels: &[usize], zero: ZeroDivision) -> PrecisionRecallF1 {
        match how {
            Average::Micro => {
                let sum = |f: &dyn Fn(usize) -> f64| labels.iter().map(|&c| f(c)).sum::<f64>();
                PrecisionRecallF1::from_counts(
                    sum(&|c| self.count(c, c)),
                    sum(&|c| self.predicted(c)),
                    sum(&|c| self.support(c)),
                    zero,
                )
            }
            Average::Macro | Average::Weighted => {
                let weight = |c: usize| if how == Average::Macro { 1.0 } else { self.support(c) };
                let members: Vec<_> = labels.iter().map(|&c| (self.of_class(c, zero), weight(c))).collect();
                PrecisionRecallF1::mean(&members)
            }
        }
    }

    /// True negative rate of a two-class matrix; undefined without negatives.
    #[must_use]
    pub fn specificity(&self) -> Option<f64> {
        ratio(self.count(0, 0), self.support(0))
    }

    /// Negative predictive value of a two-class matrix; undefined when nothing is predicted negative.
    #[must_use]
    pub fn npv(&self) -> Option<f64> {
        ratio(self.count(0, 0), self.predicted(0))
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
