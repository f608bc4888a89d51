//! Paired and unpaired comparisons of two lists of scores, and corrections for many comparisons.

use super::statistics::{Spread, is_constant};
use super::tdistribution::t_two_sided;

/// A t test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedTest {
    /// The statistic.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p value.
    pub p_two_sided: f64,
    /// One-sided p value of "the first list is larger".
    pub p_greater: f64,
}

impl PairedTest {
    fn new(t: f64, df: f64) -> Self {
        let p = t_two_sided(t, df);
        Self { t, df, p_two_sided: p, p_greater: if t > 0.0 { p / 2.0 } else { 1.0 - p / 2.0 } }
    }
}

/// Differences with their spread; `None` when lists differ in length or the differences do not vary.
fn differences(a: &[f64], b: &[f64]) -> Option<(Spread, f64)> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    // Differences of equal steps carry the rounding of the values they come from, not of their own size.
    let scale = a.iter().chain(b).fold(0.0_f64, |m, v| m.max(v.abs()));
    let spread = Spread::of(&differences)?;
    (spread.max - spread.min > 1e-14 * scale && !is_constant(&[spread.min, spread.max]))
        .then(|| spread.sd.map(|sd| (spread.clone(), sd)))?
}

/// Paired t test; undefined when the differences have no variance.
#[must_use]
pub fn paired_t(a: &[f64], b: &[f64]) -> Option<PairedTest> {
    let (spread, sd) = differences(a, b)?;
    let n = spread.n as f64;
    Some(PairedTest::new(spread.mean / (sd / n.sqrt()), n - 1.0))
}

/// Paired t test corrected for the overlap of training sets (Nadeau and Bengio 2003): the variance of the mean is
/// `1/k + test/train` times the sample variance. For k-fold cross-validation `test_over_train` is `1 / (k - 1)`.
#[must_use]
pub fn nadeau_bengio(a: &[f64], b: &[f64], test_over_train: f64) -> Option<PairedTest> {
    let (spread, sd) = differences(a, b)?;
    let n = spread.n as f64;
    Some(PairedTest::new(spread.mean / (sd * (1.0 / n + test_over_train).sqrt()), n - 1.0))
}

/// Welch's t test of two independent lists.
#[must_use]
pub fn welch_t(a: &[f64], b: &[f64]) -> Option<PairedTest> {
    let (a, b) = (Spread::of(a)?, Spread::of(b)?);
    let (va, vb) = (a.se?.powi(2), b.se?.powi(2));
    let sum = va + vb;
    if sum <= 0.0 {
        return None;
    }
    let df = sum * sum / (va * va / (a.n - 1) as f64 + vb * vb / (b.n - 1) as f64);
    Some(PairedTest::new((a.mean - b.mean) / sum.sqrt(), df))
}

/// Wilcoxon signed-rank test: (smaller rank sum, two-sided p). Zero differences are dropped. Exact for up to 50 pairs
/// without zeros and ties, otherwise the normal approximation with tie correction. `None` when all differences vanish.
#[must_use]
pub fn wilcoxon_signed_rank(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    if a.len() != b.len() {
        return None;
    }
    let mut d: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).filter(|d| *d != 0.0).collect();
    if d.is_empty() {
        return None;
    }
    d.sort_by(|x, y| x.abs().total_cmp(&y.abs()));
    let n = d.len();
    let (mut plus, mut minus, mut ties, mut at) = (0.0, 0.0, 0.0, 0);
    while at < n {
        let end = d[at..].iter().take_while(|x| x.abs() == d[at].abs()).count() + at;
        let (rank, size) = ((at + 1 + end) as f64 / 2.0, (end - at) as f64);
        ties += size.powi(3) - size;
        for x in &d[at..end] {
            *(if *x > 0.0 { &mut plus } else { &mut minus }) += rank;
        }
        at = end;
    }
    let statistic = f64::min(plus, minus);
    let exact = n == a.len() && n <= 50 && ties == 0.0;
    let p =
        if exact { exact_signed_rank(statistic as usize, n) } else { normal_signed_rank(statistic, n, ties) };
    Some((statistic, p))
}

/// Twice the share of sign patterns whose rank sum is at most `statistic`.
fn exact_signed_rank(statistic: usize, n: usize) -> f64 {
    let mut ways = vec![0.0_f64; n * (n + 1) / 2 + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..ways.len()).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let below: f64 = ways[..=statistic].iter().sum();
    (2.0 * below / 2.0_f64.powi(n as i32)).min(1.0)
}

fn normal_signed_rank(statistic: f64, n: usize, ties: f64) -> f64 {
    let n = n as f64;
    let mean = n * (n + 1.0) / 4.0;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    libm::erfc((statistic - mean).abs() / variance.sqrt() / std::f64::consts::SQRT_2).min(1.0)
}

/// Benjamini-Hochberg adjusted p values, in the given order.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let n = p.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let mut out = vec![0.0; n];
    let mut least = 1.0_f64;
    for (from_top, &i) in order.iter().enumerate() {
        least = least.min(p[i] * n as f64 / (n - from_top) as f64);
        out[i] = least;
    }
    out
}

/// Bonferroni adjusted p values.
#[must_use]
pub fn bonferroni(p: &[f64]) -> Vec<f64> {
    p.iter().map(|v| (v * p.len() as f64).min(1.0)).collect()
}

/// Holm's step-down adjusted p values.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let n = p.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut out = vec![0.0; n];
    let mut most = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        most = most.max((p[i] * (n - rank) as f64).min(1.0));
        out[i] = most;
    }
    out
}
