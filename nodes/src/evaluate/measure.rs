//! All metrics of a model: per fold, their spread over folds, and once over all test cells.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::metrics::{
    Average, BinarySample, Confusion, MetricError, ProbabilityTable, Spread, ZeroDivision, auprc_trapezoid,
    auroc, average_precision, brier, calibration_bins, expected_calibration_error, log_loss,
};
use super::models::{ScoredCell, ScoredModel};
use super::scopes::Scopes;
use crate::learn::split::fold_name;

/// Metric → value in a fixed order; `None` is undefined.
pub type Metrics = IndexMap<&'static str, Option<f64>>;

/// Every scope of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Name in tables.
    pub name: String,
    /// (repeat, fold) → metrics of its test cells.
    pub folds: BTreeMap<(u32, u32), Metrics>,
    /// Once over all test cells of all folds.
    pub merged: Metrics,
}

impl Measured {
    /// Mean, sample sd and number of folds of one metric, over the folds where it is defined.
    #[must_use]
    pub fn spread(&self, metric: &str) -> Option<Spread> {
        Spread::of(&self.values(metric).into_iter().flatten().collect::<Vec<_>>())
    }

    /// As tables of every kind that measures show it.
    pub(super) fn scopes(&self, baseline: bool) -> Scopes<'_> {
        let folds = self.folds.iter().map(|((repeat, fold), metrics)| (fold_name(*repeat, *fold), metrics));
        Scopes { name: &self.name, baseline, folds: folds.collect(), merged: &self.merged }
    }

    /// One metric by fold.
    #[must_use]
    pub fn values(&self, metric: &str) -> Vec<Option<f64>> {
        self.folds.values().map(|m| m.get(metric).copied().flatten()).collect()
    }

    /// Mean over folds when there are several, else the value over all cells.
    #[must_use]
    pub fn headline(&self, metric: &str) -> Option<f64> {
        if self.folds.len() > 1
            && let Some(spread) = self.spread(metric)
        {
            return Some(spread.mean);
        }
        self.merged.get(metric).copied().flatten()
    }
}

/// Measures a model.
///
/// # Errors
/// Scores that are not finite.
pub fn measure(model: &ScoredModel, classes: usize, bins: usize) -> Result<Measured, MetricError> {
    let folds = model.folds();
    let per_fold = folds.iter().map(|(fold, cells)| Ok((*fold, of_cells(cells, classes, bins)?)));
    Ok(Measured {
        name: model.name.clone(),
        folds: per_fold.collect::<Result<_, MetricError>>()?,
        merged: of_cells(&model.cells.iter().collect::<Vec<_>>(), classes, bins)?,
    })
}

/// Two-class sample of some cells.
pub(super) fn sample(cells: &[&ScoredCell], class: usize) -> Result<BinarySample, MetricError> {
    let truth = cells.iter().map(|c| c.truth == class).collect();
    BinarySample::new(truth, cells.iter().map(|c| c.scores[class]).collect(), None)
}

/// Confusion matrix of some cells.
pub(super) fn confusion(cells: &[&ScoredCell], classes: usize) -> Result<Confusion, MetricError> {
    let truth: Vec<usize> = cells.iter().map(|c| c.truth).collect();
    let predicted: Vec<usize> = cells.iter().map(|c| c.predicted).collect();
    Confusion::new(classes, &truth, &predicted, None)
}

/// All metrics of some cells.
pub(super) fn of_cells(cells: &[&ScoredCell], classes: usize, bins: usize) -> Result<Metrics, MetricError> {
    let confusion = confusion(cells, classes)?;
    let mut out =
        if classes == 2 { binary(cells, &confusion, bins)? } else { multiclass(cells, &confusion)? };
    out.insert("n", Some(cells.len() as f64));
    Ok(out)
}

fn binary(cells: &[&ScoredCell], c: &Confusion, bins: usize) -> Result<Metrics, MetricError> {
    let sample = sample(cells, 1)?;
    let positive = c.positive_class(ZeroDivision::Undefined);
    // A class without a cell in this scope: what needs that class is undefined, not 0 or 1.
    let (has_negatives, has_positives) = (c.support(0) > 0.0, c.support(1) > 0.0);
    let both = has_negatives && has_positives;
    let over = |how| c.average(how, &c.seen(), ZeroDivision::Zero).f1;
    Ok(Metrics::from([
        ("f1", positive.f1.filter(|_| has_positives)),
        ("auroc", auroc(&sample)),
        ("average_precision", both.then(|| average_precision(&sample))),
        ("mcc", c.mcc()),
        ("accuracy", Some(c.accuracy())),
        ("balanced_accuracy", c.balanced_accuracy()),
        ("precision", positive.precision.filter(|_| has_positives)),
        ("recall", positive.recall),
        ("specificity", c.specificity()),
        ("npv", c.npv().filter(|_| has_negatives)),
        ("cohen_kappa", c.cohen_kappa().filter(|_| both)),
        ("macro_f1", over(Average::Macro)),
        ("weighted_f1", over(Average::Weighted)),
        ("auprc_trapezoid", auprc_trapezoid(&sample).filter(|_| both)),
        ("brier", brier(&sample)),
        ("log_loss", log_loss(&sample)),
        ("calibration_error", calibration_bins(&sample, bins).and_then(|b| expected_calibration_error(&b))),
        ("prevalence", Some(sample.prevalence())),
        ("tp", Some(c.count(1, 1))),
        ("fp", Some(c.count(0, 1))),
        ("fn", Some(c.count(1, 0))),
        ("tn", Some(c.count(0, 0))),
    ]))
}

fn multiclass(cells: &[&ScoredCell], c: &Confusion) -> Result<Metrics, MetricError> {
    let truth = cells.iter().map(|cell| cell.truth).collect();
    let table = ProbabilityTable::new(
        c.classes(),
        truth,
        cells.iter().flat_map(|cell| cell.scores.clone()).collect(),
    )?;
    let seen = c.seen();
    let several = (0..c.classes()).filter(|&class| c.support(class) > 0.0).count() > 1;
    let over = |how, zero| c.average(how, &seen, zero);
    let strict = over(Average::Macro, ZeroDivision::Undefined);
    Ok(Metrics::from([
        ("macro_f1", over(Average::Macro, ZeroDivision::Zero).f1),
        ("weighted_f1", over(Average::Weighted, ZeroDivision::Zero).f1),
        ("auroc_ovr_macro", table.auroc_ovr(false)),
        ("auroc_ovr_weighted", table.auroc_ovr(true)),
        ("auroc_ovo_macro", table.auroc_ovo()),
        ("mcc", c.mcc()),
        ("accuracy", Some(c.accuracy())),
        ("balanced_accuracy", c.balanced_accuracy().filter(|_| several)),
        ("macro_precision", strict.precision),
        ("macro_recall", strict.recall),
        ("cohen_kappa", c.cohen_kappa().filter(|_| several)),
        ("log_loss", table.log_loss()),
        ("top2_accuracy", Some(table.top_k_accuracy(2))),
    ]))
}

/// The two metrics that decide whether a model beats a baseline.
pub(super) fn deciding(classes: usize) -> [&'static str; 2] {
    if classes == 2 { ["f1", "auroc"] } else { ["macro_f1", "auroc_ovr_macro"] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(id: usize, truth: usize, score: f64) -> ScoredCell {
        ScoredCell {
            dataset: String::new(),
            id: format!("c{id}"),
            group: String::new(),
            fold: (0, id as u32 / 4),
            truth,
            predicted: usize::from(score >= 0.5),
            scores: vec![1.0 - score, score],
            logits: None,
        }
    }

    #[test]
    fn what_needs_an_absent_class_is_undefined() {
        let scores = [0.1, 0.6, 0.3, 0.8];
        // Fold 0 has negatives only, fold 1 positives only, fold 2 both.
        let truth = |i: usize| [0, 1, i % 2][i / 4];
        let cells = (0..12).map(|i| cell(i, truth(i), scores[i % 4])).collect();
        let measured = measure(&ScoredModel { name: "m".into(), cells }, 2, 5).expect("scores");
        let undefined = |fold: u32, metric: &str| measured.folds[&(0, fold)][metric].is_none();
        let either =
            ["auroc", "mcc", "average_precision", "auprc_trapezoid", "balanced_accuracy", "cohen_kappa"];
        for metric in either {
            assert_eq!([0, 1, 2].map(|f| undefined(f, metric)), [true, true, false], "{metric}");
        }
        for metric in ["f1", "precision", "recall"] {
            assert_eq!([0, 1, 2].map(|f| undefined(f, metric)), [true, false, false], "{metric}");
        }
        for metric in ["specificity", "npv"] {
            assert_eq!([0, 1, 2].map(|f| undefined(f, metric)), [false, true, false], "{metric}");
        }
        assert!(measured.merged.values().all(Option::is_some), "{:?}", measured.merged);
        assert_eq!(measured.spread("f1").expect("two folds").n, 2);
    }
}
