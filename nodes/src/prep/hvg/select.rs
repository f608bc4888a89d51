//! Choosing genes from their scores.

use super::table::Cutoffs;

/// The `n` largest scores and all that tie with the last of them; NaN is never chosen.
pub(super) fn top(scores: &[f64], n: usize) -> Vec<bool> {
    let mut known: Vec<f64> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
    known.sort_unstable_by(|a, b| b.total_cmp(a));
    let Some(&cut) = known.get(n.min(known.len()).wrapping_sub(1)) else { return vec![false; scores.len()] };
    scores.iter().map(|&score| score >= cut).collect()
}

/// Mean and score within exclusive bounds; an undefined score counts as 0, as in Seurat.
pub(super) fn within(means: &[f64], scores: &[f64], bounds: &Cutoffs) -> Vec<bool> {
    let inside = |(&mean, &score): (&f64, &f64)| {
        let score = if score.is_nan() { 0.0 } else { score };
        mean > bounds.min_mean && mean < bounds.max_mean && score > bounds.min_disp && score < bounds.max_disp
    };
    means.iter().zip(scores).map(inside).collect()
}

/// The first `n` genes of `order`.
pub(super) fn first(order: &[usize], n: usize, genes: usize) -> Vec<bool> {
    let mut chosen = vec![false; genes];
    for &gene in order.iter().take(n) {
        chosen[gene] = true;
    }
    chosen
}

/// Genes from the largest score to the smallest, NaN last; equal scores in gene order.
pub(super) fn descending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| nan_last(scores[a], scores[b], |x, y| y.total_cmp(&x)));
    order
}

/// Compares two numbers with `compare`, NaN behind everything.
pub(super) fn nan_last(
    a: f64,
    b: f64,
    compare: impl Fn(f64, f64) -> std::cmp::Ordering,
) -> std::cmp::Ordering {
    a.is_nan()
        .cmp(&b.is_nan())
        .then_with(|| if a.is_nan() { std::cmp::Ordering::Equal } else { compare(a, b) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_with_the_cut_are_chosen() {
        assert_eq!(top(&[1.0, 3.0, f64::NAN, 2.0, 2.0], 2), [false, true, false, true, true]);
        assert_eq!(top(&[1.0, f64::NAN], 9), [true, false]);
        assert_eq!(top(&[f64::NAN], 1), [false]);
        assert_eq!(top(&[1.0], 0), [false]);
    }

    #[test]
    fn order_is_stable_with_nan_last() {
        assert_eq!(descending(&[1.0, f64::NAN, 2.0, 1.0]), [2, 0, 3, 1]);
    }
}
