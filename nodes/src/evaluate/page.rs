//! Tables of the classification report: by fold, by class, and as the scDrugMap code prints.

use celldag_engine::document::Table;
use serde_json::{Value, json};

use super::bootstrap::drawn_metrics;
use super::measure::{Measured, Metrics, deciding};
use super::metrics::{MetricError, TwoLogit, ZeroDivision};
use super::models::ScoredModel;
use super::scopes::value;
use crate::learn::split::fold_name;

/// Metrics of the first table, in reading order: those with intervals, and one that is only worth a look.
pub(super) fn shown(classes: usize) -> Vec<&'static str> {
    let more = (classes > 2).then_some("top2_accuracy");
    drawn_metrics(classes).iter().copied().chain(more).collect()
}

/// The deciding metrics of every fold.
pub(super) fn by_fold(all: &[&Measured], classes: usize) -> Option<Table> {
    let first = all.first()?;
    let pairs: Vec<(&Measured, &str)> =
        all.iter().flat_map(|m| deciding(classes).map(|metric| (*m, metric))).collect();
    let mut columns = vec!["fold".to_owned(), "cells".to_owned()];
    columns.extend(pairs.iter().map(|(m, metric)| format!("{}: {metric}", m.name)));
    let rows = first.folds.iter().map(|(fold, metrics)| {
        let mut row = vec![json!(fold_name(fold.0, fold.1)), json!(value(metrics, "n"))];
        row.extend(pairs.iter().map(|(m, metric)| json!(m.folds.get(fold).and_then(|f| value(f, metric)))));
        row
    });
    Some(Table { title: "Metrics by fold".to_owned(), columns, rows: rows.collect(), note: String::new() })
}

/// Precision, recall and F1 of each class, with more than two.
pub(super) fn per_class(model: &ScoredModel, classes: &[String]) -> Result<Table, MetricError> {
    let confusion = super::measure::confusion(&model.cells.iter().collect::<Vec<_>>(), classes.len())?;
    let rows = confusion.per_class(ZeroDivision::Undefined).into_iter().zip(classes).map(|(c, name)| {
        vec![
            json!(name),
            json!(c.support),
            json!(c.scores.precision),
            json!(c.scores.recall),
            json!(c.scores.f1),
        ]
    });
    Ok(Table {
        title: format!("{}: classes, all test cells", model.name),
        columns: ["class", "cells", "precision", "recall", "f1"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        note: String::new(),
    })
}

/// What the scDrugMap code would print for heads with two independent logits, over all test cells at once; `None` for
/// other heads.
pub(super) fn as_published(model: &ScoredModel) -> Result<Option<Metrics>, MetricError> {
    let logits: Option<Vec<[f64; 2]>> = model.cells.iter().map(|c| c.logits).collect();
    let Some(logits) = logits else { return Ok(None) };
    let report = TwoLogit::new(logits, model.cells.iter().map(|c| c.truth == 1).collect())?.report()?;
    Ok(Some(Metrics::from([
        ("accuracy", Some(report.accuracy)),
        ("f1", Some(report.f1)),
        ("precision", Some(report.precision)),
        ("recall", Some(report.recall)),
        ("auroc", Some(report.auroc_on_positive_logit)),
        ("auroc_on_logit_difference", report.auroc_on_logit_difference),
        ("loss", Some(report.bce)),
    ])))
}

/// The same as a table.
pub(super) fn as_published_table(model: &str, metrics: &Metrics) -> Table {
    let explained = |metric: &str| match metric {
        "precision" | "recall" => " (1 on division by zero)",
        "auroc" => " of the positive logit alone (0 with one class)",
        "auroc_on_logit_difference" => " (the consistent ranking)",
        "loss" => ": binary cross entropy over cells x 2",
        _ => "",
    };
    let row = |(metric, value): (&&str, &Option<f64>)| -> Vec<Value> {
        vec![json!(format!("{metric}{}", explained(metric))), json!(value)]
    };
    Table {
        title: format!("{model}: as the scDrugMap code measures"),
        columns: vec!["metric".to_owned(), "value".to_owned()],
        rows: metrics.iter().map(row).collect(),
        note: "The code predicts by argmax of two logits but ranks by one of them, so its AUROC is not the ranking behind \
               its predictions."
            .to_owned(),
    }
}
