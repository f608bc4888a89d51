//! The way the public scDrugMap code measures (seed 000; specs: protocols 1.2 and 1.5), next to the consistent values.
//!
//! Its head has two independent logits trained with one-hot binary cross entropy; it predicts by argmax but ranks by
//! the positive logit alone, sets precision and recall to 1 on division by zero and AUROC to 0 with one class.

use super::averages::ZeroDivision;
use super::confusion::Confusion;
use super::error::MetricError;
use super::ranking::auroc;
use super::sample::BinarySample;

/// Two logits (negative, positive) and the truth of each cell.
#[derive(Clone, Debug)]
pub struct TwoLogit {
    logits: Vec<[f64; 2]>,
    truth: Vec<bool>,
}

/// What the scDrugMap code prints, and `auroc_on_logit_difference`, the ranking that agrees with its predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct TwoLogitReport {
    /// Argmax per cell; ties are negative.
    pub prediction: Vec<bool>,
    /// Mean binary cross entropy over cells x 2 one-hot entries.
    pub bce: f64,
    /// Mean softmax cross entropy.
    pub cross_entropy: f64,
    /// Share of right predictions.
    pub accuracy: f64,
    /// F1 of the positive class; 0 on division by zero.
    pub f1: f64,
    /// Precision; 1 on division by zero.
    pub precision: f64,
    /// Recall; 1 on division by zero.
    pub recall: f64,
    /// AUROC of the positive logit alone; 0 with one class.
    pub auroc_on_positive_logit: f64,
    /// AUROC of the logit difference; undefined with one class.
    pub auroc_on_logit_difference: Option<f64>,
}

impl TwoLogit {
    /// Takes the logits.
    ///
    /// # Errors
    /// [`MetricError`] for lengths that differ, no cells, or logits that are not finite.
    pub fn new(logits: Vec<[f64; 2]>, truth: Vec<bool>) -> Result<Self, MetricError> {
        if logits.len() != truth.len() {
            let (found, expected) = (logits.len(), truth.len());
            return Err(MetricError::Length { what: "the list of logits", found, expected });
        }
        if truth.is_empty() {
            return Err(MetricError::Empty);
        }
        for (index, row) in logits.iter().enumerate() {
            if let Some(&value) = row.iter().find(|v| !v.is_finite()) {
                return Err(MetricError::Score { index, value });
            }
        }
        Ok(Self { logits, truth })
    }

    /// All of it.
    ///
    /// # Errors
    /// None in practice: the constructor checked everything the parts check.
    pub fn report(&self) -> Result<TwoLogitReport, MetricError> {
        let n = self.truth.len() as f64;
        let (mut bce, mut cross_entropy) = (0.0, 0.0);
        for (&[a, b], &t) in self.logits.iter().zip(&self.truth) {
            let target = [f64::from(u8::from(!t)), f64::from(u8::from(t))];
            for (x, y) in [(a, target[0]), (b, target[1])] {
                bce += x.max(0.0) - x * y + (-x.abs()).exp().ln_1p();
            }
            let high = a.max(b);
            let log_sum = high + ((a - high).exp() + (b - high).exp()).ln();
            cross_entropy += log_sum - if t { b } else { a };
        }
        let prediction: Vec<bool> = self.logits.iter().map(|[a, b]| b > a).collect();
        let indices = |v: &[bool]| v.iter().map(|&x| usize::from(x)).collect::<Vec<_>>();
        let confusion = Confusion::new(2, &indices(&self.truth), &indices(&prediction), None)?;
        let ones = confusion.positive_class(ZeroDivision::One);
        let ranked = |score: &dyn Fn(&[f64; 2]) -> f64| {
            BinarySample::new(self.truth.clone(), self.logits.iter().map(score).collect(), None)
                .map(|sample| auroc(&sample))
        };
        Ok(TwoLogitReport {
            bce: bce / (2.0 * n),
            cross_entropy: cross_entropy / n,
            accuracy: confusion.accuracy(),
            f1: confusion.positive_class(ZeroDivision::Zero).f1.unwrap_or(0.0),
            precision: ones.precision.unwrap_or(1.0),
            recall: ones.recall.unwrap_or(1.0),
            auroc_on_positive_logit: ranked(&|l| l[1])?.unwrap_or(0.0),
            auroc_on_logit_difference: ranked(&|l| l[1] - l[0])?,
            prediction,
        })
    }
}
