//! Metrics of predicted pairs: over all, and within each drug or line.
//!
//! Drugs differ far more than lines do, so that the mean of each drug already correlates well over all pairs. Whether the
//! cell matters shows within a drug only.

use std::collections::BTreeMap;

use crate::evaluate::baseline::Response;
use crate::evaluate::measure::Metrics;
use crate::evaluate::metrics::{MetricError, RegressionSample, Spread, kendall_tau_b, pearson, spearman};
use crate::evaluate::scopes::value;

/// Fewest pairs of a drug or line in a fold whose correlation is looked at.
const FEWEST: usize = 3;

/// One tested pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// What was measured.
    pub response: Response,
    /// What was predicted.
    pub prediction: f64,
    /// Fold that tested it; may be empty.
    pub fold: String,
}

/// All metrics of some pairs.
///
/// # Errors
/// Values that are not finite, or no pairs.
pub fn measure(pairs: &[&Predicted]) -> Result<Metrics, MetricError> {
    let sample = sample(pairs)?;
    let (by_drug, by_line) = (within(pairs, |p| &p.response.drug)?, within(pairs, |p| &p.response.line)?);
    let mean = |groups: &BTreeMap<&str, Metrics>, metric: &str| spread(groups, metric).map(|s| s.mean);
    let mut out = simple(&sample);
    out.insert("pearson_within_drug", mean(&by_drug, "pearson"));
    out.insert("pearson_within_line", mean(&by_line, "pearson"));
    out.insert("spearman_within_drug", mean(&by_drug, "spearman"));
    out.insert("rmse_within_drug", mean(&by_drug, "rmse"));
    out.insert("drugs_defined", Some(spread(&by_drug, "pearson").map_or(0, |s| s.n) as f64));
    out.insert("lines_defined", Some(spread(&by_line, "pearson").map_or(0, |s| s.n) as f64));
    out.insert("n", Some(sample.len() as f64));
    Ok(out)
}

fn spread(groups: &BTreeMap<&str, Metrics>, metric: &str) -> Option<Spread> {
    Spread::of(&groups.values().filter_map(|m| value(m, metric)).collect::<Vec<_>>())
}

/// Metrics of each drug or line, within a fold: of the folds in which it has at least three pairs the mean over those where
/// the metric is defined. Predictions of different folds come from different models: put together, a mean of the drug that
/// differs from fold to fold would correlate with the truth, or against it, without knowing anything.
///
/// # Errors
/// As [`measure`].
pub fn within<'a>(
    pairs: &[&'a Predicted],
    name: impl Fn(&'a Predicted) -> &'a String,
) -> Result<BTreeMap<&'a str, Metrics>, MetricError> {
    let mut members: BTreeMap<(&str, &str), Vec<&Predicted>> = BTreeMap::new();
    for pair in pairs {
        members.entry((name(pair), &pair.fold)).or_default().push(pair);
    }
    members.retain(|_, pairs| pairs.len() >= FEWEST);
    let mut by_name: BTreeMap<&str, Vec<Metrics>> = BTreeMap::new();
    for ((name, _), pairs) in members {
        let sample = sample(&pairs)?;
        let mut metrics = simple(&sample);
        metrics.insert("n", Some(sample.len() as f64));
        by_name.entry(name).or_default().push(metrics);
    }
    Ok(by_name.into_iter().map(|(name, folds)| (name, over_folds(&folds))).collect())
}

/// Means over folds; of `n` the sum.
fn over_folds(folds: &[Metrics]) -> Metrics {
    let one = |metric: &'static str| {
        let defined: Vec<f64> = folds.iter().filter_map(|m| value(m, metric)).collect();
        let mean = Spread::of(&defined).map(|s| s.mean);
        (metric, if metric == "n" { Some(defined.iter().sum()) } else { mean })
    };
    folds.first().map(|first| first.keys().copied().map(one).collect()).unwrap_or_default()
}

fn sample(pairs: &[&Predicted]) -> Result<RegressionSample, MetricError> {
    let truth = pairs.iter().map(|p| p.response.value).collect();
    RegressionSample::new(truth, pairs.iter().map(|p| p.prediction).collect())
}

fn simple(sample: &RegressionSample) -> Metrics {
    let varies = sample.truth_varies();
    Metrics::from([
        ("pearson", pearson(sample).map(|c| c.r)),
        ("spearman", spearman(sample).map(|c| c.r)),
        ("rmse", Some(sample.rmse())),
        ("mae", Some(sample.mae())),
        ("r2", sample.r2().filter(|_| varies)),
        ("mse", Some(sample.mse())),
        ("median_absolute_error", Some(sample.median_absolute_error())),
        ("max_error", Some(sample.max_error())),
        ("explained_variance", sample.explained_variance().filter(|_| varies)),
        ("concordance", sample.concordance().filter(|_| varies)),
        ("kendall_tau_b", kendall_tau_b(sample)),
        ("mean_absolute_relative_error", sample.mean_absolute_relative_error()),
        ("mre_as_printed", sample.mre_as_printed()),
    ])
}
