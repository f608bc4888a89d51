//! The spread of a few numbers, such as one metric over folds.

use super::tdistribution::t_quantile;

/// Mean and spread of `n` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// How many.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (n - 1); undefined for one value.
    pub sd: Option<f64>,
    /// Population standard deviation (n).
    pub sd_population: f64,
    /// Standard error of the mean.
    pub se: Option<f64>,
    /// 95 % interval of the mean by Student's t; undefined without spread.
    pub ci95: Option<[f64; 2]>,
    /// Smallest value.
    pub min: f64,
    /// Lower quartile, linear interpolation.
    pub q25: f64,
    /// Median.
    pub median: f64,
    /// Upper quartile.
    pub q75: f64,
    /// Largest value.
    pub max: f64,
}

/// A box with whiskers at the furthest values within 1.5 interquartile ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxPlot {
    /// Lower end of the lower whisker.
    pub whisker_low: f64,
    /// Upper end of the upper whisker.
    pub whisker_high: f64,
    /// Values beyond the whiskers, sorted.
    pub outliers: Vec<f64>,
}

impl Spread {
    /// Of finite values; `None` without any.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let sorted = sorted(values);
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        // Equal values have no spread, whatever rounding the mean suffered.
        let squares =
            if is_constant(&sorted) { 0.0 } else { values.iter().map(|v| (v - mean).powi(2)).sum() };
        let sd = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        let se = sd.map(|sd| sd / (n as f64).sqrt());
        let ci95 = se.filter(|&se| se > 0.0).map(|se| {
            let half = t_quantile(0.05, (n - 1) as f64) * se;
            [mean - half, mean + half]
        });
        Some(Self {
            n,
            mean,
            sd,
            sd_population: (squares / n as f64).sqrt(),
            se,
            ci95,
            min: sorted[0],
            q25: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            q75: quantile(&sorted, 0.75),
            max: sorted[n - 1],
        })
    }
}

impl BoxPlot {
    /// Of finite values; `None` for fewer than two.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let spread = Spread::of(values).filter(|s| s.n > 1)?;
        let reach = 1.5 * (spread.q75 - spread.q25);
        let (low, high) = (spread.q25 - reach, spread.q75 + reach);
        let sorted = sorted(values);
        let inside = |v: &&f64| **v >= low && **v <= high;
        Some(Self {
            whisker_low: sorted.iter().copied().find(|v| inside(&v))?,
            whisker_high: sorted.iter().rev().copied().find(|v| inside(&v))?,
            outliers: sorted.iter().copied().filter(|v| !inside(&v)).collect(),
        })
    }
}

/// Quantile of sorted values by linear interpolation between order statistics. NaN for none.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Whether sorted values are equal up to the rounding of a subtraction.
pub(super) fn is_constant(sorted: &[f64]) -> bool {
    match (sorted.first(), sorted.last()) {
        (Some(a), Some(b)) => (b - a) <= 1e-14 * a.abs().max(b.abs()).max(f64::MIN_POSITIVE),
        _ => true,
    }
}
