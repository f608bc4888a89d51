//! How well the mean expression after a perturbation is predicted, over some genes of one condition and over a set of
//! conditions.
//!
//! An effect is the difference to the control of the same cells. Expression after a perturbation resembles the control, so
//! that the control itself correlates with it; only figures of effects say whether a prediction knows anything.

use super::correlation::pearson;
use super::error::MetricError;
use super::regression::RegressionSample;

/// Figures of one condition over some genes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerturbationScores {
    /// Explained variance of the expression, about its mean; negative for bad predictions.
    pub r2: Option<f64>,
    /// Mean squared error.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Correlation of the expression.
    pub pearson: Option<f64>,
    /// Correlation of the effects; undefined when the predicted effect is constant, as that of the control is.
    pub pearson_delta: Option<f64>,
    /// Explained variance of the effects.
    pub r2_delta: Option<f64>,
    /// Share of genes whose effect has the other sign.
    pub opposite_direction: f64,
    /// Whether any effect but 0 is predicted. Who predicts none gets no direction wrong, and none right.
    pub predicts_change: bool,
    /// Squared error divided by that of predicting the control.
    pub mse_ratio_to_no_change: Option<f64>,
}

/// Compares a predicted with a measured profile over the genes at `genes`.
///
/// # Errors
/// [`MetricError`] for no genes, or values that are not finite.
///
/// # Panics
/// When a profile is shorter than a position in `genes`.
pub fn perturbation_scores(
    control: &[f64],
    measured: &[f64],
    predicted: &[f64],
    genes: &[usize],
) -> Result<PerturbationScores, MetricError> {
    let of = |profile: &[f64]| genes.iter().map(|&g| profile[g]).collect::<Vec<f64>>();
    let effect = |profile: &[f64]| genes.iter().map(|&g| profile[g] - control[g]).collect::<Vec<f64>>();
    let sample = RegressionSample::new(of(measured), of(predicted))?;
    let deltas = RegressionSample::new(effect(measured), effect(predicted))?;
    let opposite = deltas.truth().iter().zip(deltas.prediction()).filter(|(t, p)| *t * *p < 0.0).count();
    let unchanged = RegressionSample::new(of(measured), of(control))?.mse();
    let varies = |s: &RegressionSample| s.r2().filter(|_| s.truth_varies());
    Ok(PerturbationScores {
        r2: varies(&sample),
        mse: sample.mse(),
        mae: sample.mae(),
        pearson: pearson(&sample).map(|c| c.r),
        pearson_delta: pearson(&deltas).map(|c| c.r),
        r2_delta: varies(&deltas),
        opposite_direction: opposite as f64 / genes.len() as f64,
        predicts_change: deltas.prediction().iter().any(|&p| p != 0.0),
        mse_ratio_to_no_change: (unchanged > 0.0).then(|| sample.mse() / unchanged),
    })
}

/// For each condition 1 less the rank, by Euclidean distance to its predicted effect and counted from 0, of its measured
/// effect among the measured effects of all conditions, divided by their number: 1 when it is the nearest, about one half
/// (of n conditions 1/2 + 1/2n) when the prediction says the same for every condition, 1/n when it is the farthest. Of equal distances the earlier condition is nearer.
#[must_use]
pub fn discrimination(measured: &[Vec<f64>], predicted: &[Vec<f64>]) -> Vec<f64> {
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let one = |(own, predicted): (usize, &Vec<f64>)| {
        let mine = distance(&measured[own], predicted);
        let nearer = |(at, effect): &(usize, &Vec<f64>)| {
            let other = distance(effect, predicted);
            other < mine || (other == mine && *at < own)
        };
        1.0 - measured.iter().enumerate().filter(nearer).count() as f64 / measured.len() as f64
    };
    predicted.iter().enumerate().map(one).collect()
}
