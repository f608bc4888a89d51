//! Bins of mean expression, with the edges that pandas' `cut` and numpy's `percentile` give.

/// Edges of `n` bins of equal width over the range of `values`; the first is widened by a thousandth of the range so that
/// the smallest value lies inside.
pub(super) fn equal_width(values: &[f64], n: usize) -> Vec<f64> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low == high {
        let margin = if low == 0.0 { 0.001 } else { 0.001 * low.abs() };
        (low - margin, high + margin)
    } else {
        (low, high)
    };
    let step = (high - low) / n as f64;
    let mut edges: Vec<f64> = (0..=n).map(|i| i as f64 * step + low).collect();
    edges[n] = high;
    edges[0] -= (high - low) * 0.001;
    edges
}

/// Minus infinity, the 10th, 15th ... 100th percentile of `values`, infinity. Equal edges are merged.
pub(super) fn percentiles(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut edges = vec![f64::NEG_INFINITY];
    edges.extend((10..=100).step_by(5).map(|percent| percentile(&sorted, f64::from(percent))));
    edges.push(f64::INFINITY);
    edges.dedup();
    edges
}

/// Linear interpolation between the two nearest ranks, computed from the nearer one as numpy does.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = percent / 100.0 * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (a, b, t) = (sorted[below], sorted[above], position - below as f64);
    if t >= 0.5 { b - (b - a) * (1.0 - t) } else { a + (b - a) * t }
}

/// The bin of `value`: bin `i` holds values above edge `i` up to and including edge `i + 1`. `None` outside.
pub(super) fn bin_of(edges: &[f64], value: f64) -> Option<usize> {
    let below = edges.partition_point(|&edge| edge < value);
    (below > 0 && below < edges.len()).then(|| below - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_belong_to_the_bin_below() {
        let edges = equal_width(&[0.0, 4.0], 4);
        assert_eq!(edges, [-0.004, 1.0, 2.0, 3.0, 4.0]);
        let bins: Vec<_> = [0.0, 1.0, 1.5, 2.0, 4.0, 4.1, -1.0].map(|v| bin_of(&edges, v)).to_vec();
        assert_eq!(bins, [Some(0), Some(0), Some(1), Some(1), Some(3), None, None]);
    }

    #[test]
    fn constant_values_lie_inside() {
        for value in [0.0, 2.0, -3.0] {
            assert!(bin_of(&equal_width(&[value; 3], 20), value).is_some());
            assert!(bin_of(&percentiles(&[value; 3]), value).is_some());
        }
    }

    #[test]
    fn percentile_interpolates() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&sorted, 0.0), 1.0);
        assert_eq!(percentile(&sorted, 100.0), 8.0);
        assert!((percentile(&sorted, 50.0) - 3.0).abs() < 1e-15);
        assert!((percentile(&sorted, 90.0) - 6.8).abs() < 1e-12);
    }
}
