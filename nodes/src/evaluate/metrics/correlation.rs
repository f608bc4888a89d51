//! Correlations of two lists of numbers, with their two-sided p values.

use super::regression::{RegressionSample, squares};
use super::tdistribution::t_two_sided;

/// A coefficient and its p value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// The coefficient, -1 to 1.
    pub r: f64,
    /// Two-sided p value of "no correlation" by Student's t with n - 2 degrees of freedom; undefined for two values.
    pub p: Option<f64>,
}

/// Pearson's correlation; undefined when a side does not vary.
#[must_use]
pub fn pearson(sample: &RegressionSample) -> Option<Correlation> {
    correlate(sample.truth(), sample.prediction())
}

/// Spearman's rank correlation, ties with their mean rank; undefined when a side does not vary.
#[must_use]
pub fn spearman(sample: &RegressionSample) -> Option<Correlation> {
    correlate(&ranks(sample.truth()), &ranks(sample.prediction()))
}

fn varies(values: &[f64]) -> bool {
    values.iter().any(|v| *v != values[0])
}

fn correlate(a: &[f64], b: &[f64]) -> Option<Correlation> {
    if !varies(a) || !varies(b) {
        return None;
    }
    let n = a.len() as f64;
    let mean = |v: &[f64]| v.iter().map(|x| x - v[0]).sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let covariance: f64 = a.iter().zip(b).map(|(x, y)| (x - a[0] - ma) * (y - b[0] - mb)).sum();
    let r = (covariance / (squares(a).sqrt() * squares(b).sqrt())).clamp(-1.0, 1.0);
    // Rounding leaves a perfect correlation a little short of 1.
    let rest = (1.0 - r) * (1.0 + r);
    let p = (a.len() > 2)
        .then(|| if rest < 1e-15 { 0.0 } else { t_two_sided(r * ((n - 2.0) / rest).sqrt(), n - 2.0) });
    Some(Correlation { r, p })
}

/// Ranks from 1, ties with their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut out = vec![0.0; values.len()];
    let mut at = 0;
    while at < order.len() {
        let end = order[at..].iter().take_while(|&&i| values[i] == values[order[at]]).count() + at;
        for &i in &order[at..end] {
            out[i] = (at + 1 + end) as f64 / 2.0;
        }
        at = end;
    }
    out
}

/// Kendall's tau-b in O(n log n) (Knight 1966); undefined when a side does not vary.
#[must_use]
pub fn kendall_tau_b(sample: &RegressionSample) -> Option<f64> {
    let mut pairs: Vec<(f64, f64)> =
        sample.truth().iter().copied().zip(sample.prediction().iter().copied()).collect();
    pairs.sort_by(|a, b| compare(a.0, b.0).then(compare(a.1, b.1)));
    let pairs_of = |n: usize| n as f64 * (n as f64 - 1.0) / 2.0;
    let all = pairs_of(pairs.len());
    let in_truth: f64 = runs(&pairs, |a, b| a.0 == b.0).into_iter().map(pairs_of).sum();
    let in_both: f64 = runs(&pairs, |a, b| a == b).into_iter().map(pairs_of).sum();
    let mut predicted: Vec<f64> = pairs.into_iter().map(|p| p.1).collect();
    let discordant = exchanges(&mut predicted) as f64;
    let in_prediction: f64 = runs(&predicted, |a, b| a == b).into_iter().map(pairs_of).sum();
    let scale = ((all - in_truth) * (all - in_prediction)).sqrt();
    (scale > 0.0).then(|| (all - in_truth - in_prediction + in_both - 2.0 * discordant) / scale)
}

/// -0 and 0 are one value here, unlike in `total_cmp`.
fn compare(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal)
}

/// Lengths of runs of equal neighbours.
fn runs<T>(sorted: &[T], equal: impl Fn(&T, &T) -> bool) -> Vec<usize> {
    sorted.chunk_by(equal).map(<[T]>::len).collect()
}

/// Sorts and counts the exchanges of neighbours that a bubble sort would need.
fn exchanges(values: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let middle = values.len() / 2;
    let mut count = exchanges(&mut values[..middle]) + exchanges(&mut values[middle..]);
    let (left, right) = (values[..middle].to_vec(), values[middle..].to_vec());
    let (mut i, mut j) = (0, 0);
    for spot in values.iter_mut() {
        if i < left.len() && (j == right.len() || compare(left[i], right[j]).is_le()) {
            *spot = left[i];
            i += 1;
        } else {
            *spot = right[j];
            j += 1;
            count += (left.len() - i) as u64;
        }
    }
    count
}
