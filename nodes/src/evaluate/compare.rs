//! Paired tests of models over the same folds.

use std::collections::BTreeMap;

use super::measure::{Measured, deciding};
use super::metrics::{holm, nadeau_bengio, paired_t, wilcoxon_signed_rank};
use crate::learn::split::{Role, SplitTable};

/// Fewest folds that are compared.
const FEWEST: usize = 3;

/// One metric of two models over the folds where it is defined for both.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) model: String,
    pub(super) other: String,
    pub(super) metric: &'static str,
    /// Mean over folds of model minus other.
    pub(super) difference: f64,
    /// Folds compared.
    pub(super) folds: usize,
    /// Folds that either was tested in.
    pub(super) of: usize,
    /// Two-sided p of the t test corrected for the overlap of training sets (Nadeau and Bengio 2003).
    pub(super) corrected: Option<f64>,
    /// The same after Holm's correction for all comparisons in this metric.
    pub(super) adjusted: Option<f64>,
    /// Of the plain paired t test, which takes folds for independent.
    pub(super) plain: Option<f64>,
    /// Of Wilcoxon's signed-rank test.
    pub(super) wilcoxon: Option<f64>,
}

/// Compares each model with each later one and with each baseline.
pub(super) fn compare(
    models: &[Measured],
    baselines: &[Measured],
    classes: usize,
    test_over_train: Option<f64>,
) -> Vec<Comparison> {
    let mut out = Vec::new();
    for metric in deciding(classes) {
        let mut of_metric = Vec::new();
        for (at, model) in models.iter().enumerate() {
            let others = models[at + 1..].iter().chain(baselines);
            of_metric.extend(others.filter_map(|other| one(model, other, metric, test_over_train)));
        }
        let (at, p): (Vec<usize>, Vec<f64>) =
            of_metric.iter().enumerate().filter_map(|(i, c)| Some((i, c.corrected?))).unzip();
        for (i, p) in at.into_iter().zip(holm(&p)) {
            of_metric[i].adjusted = Some(p);
        }
        out.extend(of_metric);
    }
    out
}

fn one(model: &Measured, other: &Measured, metric: &'static str, ratio: Option<f64>) -> Option<Comparison> {
    let value = |m: &Measured, fold| m.folds.get(fold).and_then(|f| f.get(metric)).copied().flatten();
    let folds: std::collections::BTreeSet<_> = model.folds.keys().chain(other.folds.keys()).collect();
    let (a, b): (Vec<f64>, Vec<f64>) =
        folds.iter().filter_map(|f| Some((value(model, f)?, value(other, f)?))).unzip();
    if a.len() < FEWEST {
        return None;
    }
    Some(Comparison {
        model: model.name.clone(),
        other: other.name.clone(),
        metric,
        difference: a.iter().zip(&b).map(|(a, b)| a - b).sum::<f64>() / a.len() as f64,
        folds: a.len(),
        of: folds.len(),
        corrected: ratio.and_then(|ratio| nadeau_bengio(&a, &b, ratio)).map(|t| t.p_two_sided),
        adjusted: None,
        plain: paired_t(&a, &b).map(|t| t.p_two_sided),
        wilcoxon: wilcoxon_signed_rank(&a, &b).map(|(_, p)| p),
    })
}

/// Mean over folds of test cells by training cells: from the split, or else from the test cells of the folds, which
/// together make up a repeat (true of cross-validation; a lone holdout says nothing about its training cells).
pub(super) fn test_over_train(model: &Measured, split: Option<&SplitTable>) -> Option<f64> {
    let mut ratios = Vec::new();
    if let Some(split) = split {
        for rows in split.folds().into_values() {
            let count = |role| rows.iter().filter(|r| r.role == role).count() as f64;
            if count(Role::Train) > 0.0 {
                ratios.push(count(Role::Test) / count(Role::Train));
            }
        }
    } else {
        let cells = |fold: &super::measure::Metrics| fold.get("n").copied().flatten().unwrap_or(0.0);
        let mut repeats: BTreeMap<u32, f64> = BTreeMap::new();
        for ((repeat, _), fold) in &model.folds {
            *repeats.entry(*repeat).or_default() += cells(fold);
        }
        for ((repeat, _), fold) in &model.folds {
            let rest = repeats[repeat] - cells(fold);
            if rest > 0.0 {
                ratios.push(cells(fold) / rest);
            }
        }
    }
    (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::measure::Metrics;
    use super::*;

    fn model(name: &str, values: &[Option<f64>]) -> Measured {
        let fold = |(i, v): (usize, &Option<f64>)| {
            ((0, i as u32), Metrics::from([("f1", *v), ("auroc", None), ("n", Some(20.0))]))
        };
        Measured {
            name: name.to_owned(),
            folds: values.iter().enumerate().map(fold).collect(),
            merged: Metrics::from([("f1", Some(0.5)), ("auroc", None)]),
        }
    }

    #[test]
    fn folds_are_paired_by_their_number_and_p_values_are_adjusted() {
        let a = model("a", &[Some(0.80), Some(0.82), None, Some(0.85), Some(0.90), Some(0.79)]);
        let b = model("b", &[Some(0.70), Some(0.76), Some(0.1), Some(0.78), Some(0.80), Some(0.70)]);
        let baseline = model("majority", &[Some(0.5); 6]);
        let ratio = test_over_train(&a, None).expect("six folds");
        assert!((ratio - 0.2).abs() < 1e-12, "20 test cells, 100 others: {ratio}");
        let all = compare(&[a, b], &[baseline], 2, Some(ratio));
        let pairs: Vec<_> = all.iter().map(|c| (c.model.as_str(), c.other.as_str(), c.metric)).collect();
        assert_eq!(pairs, [("a", "b", "f1"), ("a", "majority", "f1"), ("b", "majority", "f1")]);
        let first = &all[0];
        assert_eq!((first.folds, first.of), (5, 6));
        assert!((first.difference - 0.084).abs() < 1e-12, "{}", first.difference);
        let (corrected, plain) = (first.corrected.expect("varies"), first.plain.expect("varies"));
        assert!(corrected > plain, "the correction makes it harder: {corrected} {plain}");
        assert!(all.iter().all(|c| c.adjusted >= c.corrected));
    }
}
