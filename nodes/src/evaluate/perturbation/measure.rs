//! Figures of predicted conditions: each for itself, and their means.

use super::profiles::Condition;
use crate::evaluate::measure::Metrics;
use crate::evaluate::metrics::{MetricError, Spread, discrimination, perturbation_scores};
use crate::evaluate::scopes::value;

/// One tested condition.
#[derive(Clone)]
pub(super) struct Tested {
    pub(super) condition: Condition,
    /// Position of the file that predicted it.
    pub(super) part: usize,
    pub(super) control: Vec<f64>,
    pub(super) measured: Vec<f64>,
    pub(super) predicted: Vec<f64>,
}

/// Figures of each condition, in order. Conditions of one file are told apart from each other (`discrimination`).
///
/// # Errors
/// Values that are not finite.
pub(super) fn by_condition(tested: &[Tested]) -> Result<Vec<Metrics>, MetricError> {
    let mut all: Vec<Metrics> = tested.iter().map(one).collect::<Result<_, _>>()?;
    let parts: std::collections::BTreeSet<usize> = tested.iter().map(|t| t.part).collect();
    for part in parts {
        let own: Vec<usize> = (0..tested.len()).filter(|&i| tested[i].part == part).collect();
        let effects = |of: fn(&Tested) -> &Vec<f64>| -> Vec<Vec<f64>> {
            let less = |t: &Tested| of(t).iter().zip(&t.control).map(|(v, c)| v - c).collect();
            own.iter().map(|&i| less(&tested[i])).collect()
        };
        let found = discrimination(&effects(|t| &t.measured), &effects(|t| &t.predicted));
        for (&i, value) in own.iter().zip(found) {
            all[i].insert("discrimination", (own.len() > 1).then_some(value));
        }
    }
    Ok(all)
}

fn one(tested: &Tested) -> Result<Metrics, MetricError> {
    let change = |g: usize| (tested.measured[g] - tested.control[g]).abs();
    let mut order: Vec<usize> = (0..tested.control.len()).collect();
    order.sort_by(|&a, &b| change(b).total_cmp(&change(a)).then(a.cmp(&b)));
    let top = |n: usize| {
        let genes = &order[..n.min(order.len())];
        perturbation_scores(&tested.control, &tested.measured, &tested.predicted, genes)
    };
    let (all, top20, top50, top100) = (top(order.len())?, top(20)?, top(50)?, top(100)?);
    Ok(Metrics::from([
        ("pearson_delta", all.pearson_delta),
        ("r2", all.r2),
        ("mse", Some(all.mse)),
        ("mae", Some(all.mae)),
        ("opposite_direction", all.predicts_change.then_some(all.opposite_direction)),
        ("pearson_delta_top20", top20.pearson_delta),
        ("r2_top20", top20.r2),
        ("mse_top20", Some(top20.mse)),
        ("mse_ratio_to_no_change_top20", top20.mse_ratio_to_no_change),
        ("opposite_direction_top20", top20.predicts_change.then_some(top20.opposite_direction)),
        ("r2_top50", top50.r2),
        ("r2_top100", top100.r2),
        ("pearson", all.pearson),
    ]))
}

/// Means over conditions where a figure is defined, and how many conditions there are.
pub(super) fn mean(conditions: &[&Metrics]) -> Metrics {
    let Some(first) = conditions.first() else { return Metrics::default() };
    let of = |metric: &'static str| {
        let defined: Vec<f64> = conditions.iter().filter_map(|m| value(m, metric)).collect();
        (metric, Spread::of(&defined).map(|s| s.mean))
    };
    let mut out: Metrics = first.keys().copied().map(of).collect();
    out.insert("n", Some(conditions.len() as f64));
    out
}
