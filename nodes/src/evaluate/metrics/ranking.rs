//! Metrics of the ranking that scores give.

use super::curves::{Cumulative, pr_points};
use super::sample::BinarySample;

/// Area under the ROC curve: the chance that a positive cell scores above a negative one, ties counting half.
/// Undefined with only one class.
#[must_use]
pub fn auroc(sample: &BinarySample) -> Option<f64> {
    let c = Cumulative::of(sample);
    let (n, p) = (*c.negatives.last()?, *c.positives.last()?);
    if n <= 0.0 || p <= 0.0 {
        return None;
    }
    let (mut area, mut before_n, mut before_p) = (0.0, 0.0, 0.0);
    for (&at_n, &at_p) in c.negatives.iter().zip(&c.positives) {
        area += (at_n - before_n) * (before_p + at_p) / 2.0;
        (before_n, before_p) = (at_n, at_p);
    }
    Some(area / (n * p))
}

/// Average precision, the step-wise area under the precision-recall curve. 0 without positives, as scikit-learn has
/// it; reports say undefined in that case.
#[must_use]
pub fn average_precision(sample: &BinarySample) -> f64 {
    let c = Cumulative::of(sample);
    let all = c.positives.last().copied().unwrap_or(0.0);
    if all <= 0.0 {
        return 0.0;
    }
    let (mut area, mut before) = (0.0, 0.0);
    for (&fp, &tp) in c.negatives.iter().zip(&c.positives) {
        area += (tp - before) * tp / (tp + fp);
        before = tp;
    }
    area / all
}

/// Trapezoid area under the precision-recall curve, as several papers report it. Undefined with only one class.
#[must_use]
pub fn auprc_trapezoid(sample: &BinarySample) -> Option<f64> {
    let (negative, positive) = sample.class_weights();
    if negative <= 0.0 || positive <= 0.0 {
        return None;
    }
    pr_points(sample, false).map(|points| points.area())
}
