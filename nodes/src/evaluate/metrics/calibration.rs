//! How well scores in 0 to 1 agree with frequencies.

use super::sample::BinarySample;

/// Mean squared difference of score and truth; undefined when scores are no probabilities.
#[must_use]
pub fn brier(sample: &BinarySample) -> Option<f64> {
    sample.is_probability().then(|| weighted_mean(sample, |s, t| (s - f64::from(u8::from(t))).powi(2)))
}

/// Mean negative log likelihood in nats; scores are clipped by the machine epsilon. Undefined when scores are no
/// probabilities.
#[must_use]
pub fn log_loss(sample: &BinarySample) -> Option<f64> {
    sample.is_probability().then(|| {
        weighted_mean(sample, |s, t| {
            let p = s.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            -(if t { p.ln() } else { (1.0 - p).ln() })
        })
    })
}

fn weighted_mean(sample: &BinarySample, value: impl Fn(f64, bool) -> f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (i, (&s, &t)) in sample.score().iter().zip(sample.truth()).enumerate() {
        sum += sample.weight(i) * value(s, t);
        total += sample.weight(i);
    }
    sum / total
}

/// One bin of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    /// Mean score of the cells in the bin.
    pub predicted: f64,
    /// Share of positives among them.
    pub observed: f64,
    /// Weight of the cells.
    pub weight: f64,
}

/// Bins of equal width over 0 to 1, closed on the right; empty bins are left out. `None` when scores are no
/// probabilities.
#[must_use]
pub fn calibration_bins(sample: &BinarySample, bins: usize) -> Option<Vec<CalibrationBin>> {
    if bins == 0 || !sample.is_probability() {
        return None;
    }
    let width = 1.0 / bins as f64;
    let inner: Vec<f64> = (1..bins).map(|i| i as f64 * width).collect();
    let mut sums = vec![(0.0, 0.0, 0.0); bins];
    for (i, (&s, &t)) in sample.score().iter().zip(sample.truth()).enumerate() {
        let w = sample.weight(i);
        let bin = &mut sums[inner.partition_point(|&edge| edge < s)];
        bin.0 += w * s;
        bin.1 += w * f64::from(u8::from(t));
        bin.2 += w;
    }
    let filled = sums.into_iter().filter(|b| b.2 > 0.0);
    Some(filled.map(|(s, t, w)| CalibrationBin { predicted: s / w, observed: t / w, weight: w }).collect())
}

/// Expected calibration error: mean gap of score and frequency over the bins, by weight.
#[must_use]
pub fn expected_calibration_error(bins: &[CalibrationBin]) -> Option<f64> {
    let total: f64 = bins.iter().map(|b| b.weight).sum();
    (total > 0.0)
        .then(|| bins.iter().map(|b| b.weight * (b.observed - b.predicted).abs()).sum::<f64>() / total)
}
