//! Counts of one cell to bins of equally many genes, to the bit as the authors' code with numpy does it.
//!
//! A bin is unchanged by any strictly increasing function of the counts, so raw counts and logarithms give the same bins.
//! Edges are quantiles of the cell's own expressed genes. With raw counts most values equal several edges at once; the
//! authors then draw one of the bins between them.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// Which bin a value gets that equals several edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Binning {
    /// The highest: the number of edges that are not above it. The same in every run.
    #[default]
    Left,
    /// Any of them with equal probability.
    Random,
}

/// The `bins - 1` edges of `values`: quantiles at equally spaced probabilities from 0 to 1, ascending; none of no values.
///
/// This is `numpy.quantile(values, numpy.linspace(0, 1, bins - 1))` for `float32` values, whose rounding decides about
/// values that lie on an edge: probabilities are multiples of a rounded step, differences of neighbours are taken in single
/// precision, and the upper half of an interval is interpolated from above.
#[must_use]
pub fn edges(values: &[f32], bins: usize) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let (Some(&largest), count) = (sorted.last(), bins.saturating_sub(1)) else { return Vec::new() };
    let step = 1.0 / index_to_f64(count.saturating_sub(1).max(1));
    let last = index_to_f64(sorted.len() - 1);
    let edge = |k: usize| {
        let probability = if k > 0 && k + 1 == count { 1.0 } else { index_to_f64(k) * step };
        let place = last * probability;
        if place >= last {
            return f64::from(largest);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= place < len")]
        let below = place as usize;
        let t = place - index_to_f64(below);
        let (a, b) = (sorted[below], sorted[below + 1]);
        let difference = f64::from(b - a);
        if t >= 0.5 { f64::from(b) - difference * (1.0 - t) } else { f64::from(a) + difference * t }
    };
    (0..count).map(edge).collect()
}

/// The highest and the lowest bin of a value: the number of edges that are not above it, and of those below it.
#[must_use]
pub fn digits(value: f32, edges: &[f64]) -> (usize, usize) {
    let value = f64::from(value);
    (edges.partition_point(|&edge| edge <= value), edges.partition_point(|&edge| edge < value))
}

/// The bin between two digits that the number `draw` of [0, 1) falls to.
#[must_use]
pub fn spread((left, right): (usize, usize), draw: f64) -> f64 {
    let (left, right) = (index_to_f64(left), index_to_f64(right));
    (draw * (right - left) + left).ceil()
}

/// The bins of all `values`, 1 to `bins - 1`. `draws` is asked once for each value if bins are drawn.
#[must_use]
pub fn bins(values: &[f32], bins: usize, binning: Binning, draws: &mut impl Rng) -> Vec<f32> {
    let edges = edges(values, bins);
    let bin = |&value: &f32| {
        let digits = digits(value, &edges);
        let bin = match binning {
            Binning::Left => index_to_f64(digits.0),
            Binning::Random => spread(digits, uniform(draws)),
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most the number of bins")]
        let bin = bin as f32;
        bin
    };
    values.iter().map(bin).collect()
}

/// A number of [0, 1) in steps of 2⁻⁵³.
fn uniform(draws: &mut impl Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let whole = (draws.next_u64() >> 11) as f64;
    whole * (0.5_f64).powi(53)
}

#[expect(clippy::cast_precision_loss, reason = "counts of genes and bins are far below 2⁵³")]
fn index_to_f64(index: usize) -> f64 {
    index as f64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn edges_are_quantiles() {
        assert_eq!(edges(&[3.0, 1.0, 2.0], 6), [1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(edges(&[7.0], 4), [7.0; 3]);
        assert!(edges(&[], 51).is_empty());
    }

    #[test]
    fn a_value_on_several_edges_gets_each_of_its_bins_equally_often() {
        let values = [1.0, 1.0, 1.0, 1.0, 9.0];
        // Edges 1, 1, 1, 1, 9: the value 1 has the bins 1 to 4, the value 9 has the bin 5.
        let mut seen = [0_usize; 6];
        let mut draws = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..1000 {
            for bin in bins(&values, 6, Binning::Random, &mut draws) {
                seen[bin as usize] += 1;
            }
        }
        assert_eq!((seen[0], seen[5]), (0, 1000));
        assert!(seen[1..5].iter().all(|&n| (900..1100).contains(&n)), "{seen:?}");
        assert_eq!(bins(&values, 6, Binning::Left, &mut draws), [4.0, 4.0, 4.0, 4.0, 5.0]);
    }
}
