//! The report document: notes, headline, tables and numbers.

use celldag_engine::document::Table;
use serde_json::{Map, Value, json};

use super::bootstrap::drawn_metrics;
use super::measure::{Measured, deciding};
use super::metrics::{MetricError, TwoLogit, ZeroDivision};
use super::models::ScoredModel;
use super::table::fold_name;

/// Metrics of the first table, in reading order: those with intervals, and one that is only worth a look.
fn shown(classes: usize) -> impl Iterator<Item = &'static str> {
    let more = (classes > 2).then_some("top2_accuracy");
    drawn_metrics(classes).iter().copied().chain(more)
}

/// Models and baselines side by side: mean ± sd over folds, and once over all test cells.
pub(super) fn comparison(all: &[&Measured], classes: usize) -> Vec<Table> {
    let header = |first: &str| -> Vec<String> {
        std::iter::once(first.to_owned()).chain(shown(classes).map(str::to_owned)).collect()
    };
    let mut out = Vec::new();
    if all.iter().any(|m| m.folds.len() > 1) {
        let rows = all.iter().map(|m| {
            let cell = |metric: &str| match m.spread(metric) {
                Some(s) => json!(match s.sd {
                    Some(sd) => format!("{:.3} ± {sd:.3}{}", s.mean, partial(s.n, m.folds.len())),
                    None => format!("{:.3}{}", s.mean, partial(s.n, m.folds.len())),
                }),
                None => Value::Null,
            };
            std::iter::once(json!(m.name)).chain(shown(classes).map(cell)).collect()
        });
        out.push(Table {
            title: "Metrics: mean ± standard deviation over folds".to_owned(),
            columns: header("model"),
            rows: rows.collect(),
            note: "Sample standard deviation (n - 1). A number in brackets says in how many folds the metric is defined."
                .to_owned(),
        });
    }
    let rows = all.iter().map(|m| {
        let cell = |metric: &str| json!(m.merged.get(metric).copied().flatten());
        std::iter::once(json!(m.name)).chain(shown(classes).map(cell)).collect()
    });
    out.push(Table {
        title: "Metrics once over all test cells".to_owned(),
        columns: header("model"),
        rows: rows.collect(),
        note: "Scores of different folds come from different trained models.".to_owned(),
    });
    out
}

fn partial(defined: usize, folds: usize) -> String {
    if defined < folds { format!(" ({defined} of {folds})") } else { String::new() }
}

/// The deciding metrics of every fold.
pub(super) fn by_fold(all: &[&Measured], classes: usize) -> Option<Table> {
    let first = all.first()?;
    let pairs: Vec<(&Measured, &str)> =
        all.iter().flat_map(|m| deciding(classes).map(|metric| (*m, metric))).collect();
    let mut columns = vec!["fold".to_owned(), "cells".to_owned()];
    columns.extend(pairs.iter().map(|(m, metric)| format!("{}: {metric}", m.name)));
    let rows = first.folds.iter().map(|(fold, metrics)| {
        let mut row = vec![json!(fold_name(*fold)), json!(metrics.get("n").copied().flatten())];
        row.extend(
            pairs
                .iter()
                .map(|(m, metric)| json!(m.folds.get(fold).and_then(|f| f.get(*metric)).copied().flatten())),
        );
        row
    });
    Some(Table { title: "Metrics by fold".to_owned(), columns, rows: rows.collect(), note: String::new() })
}

/// Every metric of the models, in full.
pub(super) fn complete(all: &[&Measured]) -> Option<Table> {
    let metrics: Vec<&str> = all.first()?.merged.keys().copied().collect();
    let mut columns = vec!["metric".to_owned()];
    columns.extend(all.iter().map(|m| m.name.clone()));
    let row = |metric: &&str| {
        let values = all.iter().map(|m| json!(m.merged.get(*metric).copied().flatten()));
        std::iter::once(json!(metric)).chain(values).collect()
    };
    Some(Table {
        title: "All metrics over all test cells".to_owned(),
        columns,
        rows: metrics.iter().map(row).collect(),
        note: "Empty: undefined for these cells (never 0 or 1 instead).".to_owned(),
    })
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

/// What the scDrugMap code would print for heads with two independent logits; `None` for other heads.
pub(super) fn scdrugmap(model: &ScoredModel) -> Result<Option<Table>, MetricError> {
    let logits: Option<Vec<[f64; 2]>> = model.cells.iter().map(|c| c.logits).collect();
    let Some(logits) = logits else { return Ok(None) };
    let report = TwoLogit::new(logits, model.cells.iter().map(|c| c.truth == 1).collect())?.report()?;
    let row = |name: &str, value: Value| vec![json!(name), value];
    Ok(Some(Table {
        title: format!("{}: as the scDrugMap code measures", model.name),
        columns: vec!["metric".to_owned(), "value".to_owned()],
        rows: vec![
            row("accuracy", json!(report.accuracy)),
            row("f1", json!(report.f1)),
            row("precision (1 on division by zero)", json!(report.precision)),
            row("recall (1 on division by zero)", json!(report.recall)),
            row("AUROC of the positive logit alone (0 with one class)", json!(report.auroc_on_positive_logit)),
            row("AUROC of the logit difference (the consistent ranking)", json!(report.auroc_on_logit_difference)),
            row("loss: binary cross entropy over cells x 2", json!(report.bce)),
        ],
        note: "The code predicts by argmax of two logits but ranks by one of them, so its AUROC is not the ranking behind \
               its predictions."
            .to_owned(),
    }))
}

/// Everything as nested JSON.
pub(super) fn numbers(all: &[&Measured], role: impl Fn(&str) -> &'static str) -> Map<String, Value> {
    let one = |m: &&Measured| {
        let over_folds: Map<String, Value> = m
            .merged
            .keys()
            .map(|metric| {
                let spread = m.spread(metric);
                let value = json!({
                    "mean": spread.as_ref().map(|s| s.mean),
                    "sd": spread.as_ref().and_then(|s| s.sd),
                    "defined": spread.as_ref().map_or(0, |s| s.n),
                });
                ((*metric).to_owned(), value)
            })
            .collect();
        let folds: Map<String, Value> = m.folds.iter().map(|(f, v)| (fold_name(*f), json!(v))).collect();
        (
            m.name.clone(),
            json!({ "role": role(&m.name), "over_folds": over_folds, "merged": m.merged, "folds": folds }),
        )
    };
    all.iter().map(one).collect()
}
