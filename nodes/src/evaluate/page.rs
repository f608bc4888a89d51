//! The report document: notes, headline, tables and numbers.

use celldag_engine::document::Table;
use serde_json::{Map, Value, json};

use super::measure::{Measured, deciding};
use super::metrics::{MetricError, TwoLogit, ZeroDivision, nadeau_bengio};
use super::models::ScoredModel;
use super::table::fold_name;

/// Metrics of the first table, in reading order.
fn shown(classes: usize) -> &'static [&'static str] {
    if classes == 2 {
        &[
            "f1",
            "auroc",
            "average_precision",
            "mcc",
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "brier",
        ]
    } else {
        &[
            "macro_f1",
            "weighted_f1",
            "auroc_ovr_macro",
            "mcc",
            "accuracy",
            "balanced_accuracy",
            "top2_accuracy",
        ]
    }
}

/// Models and baselines side by side: mean ± sd over folds, and once over all test cells.
pub(super) fn comparison(all: &[&Measured], classes: usize) -> Vec<Table> {
    let header = |first: &str| -> Vec<String> {
        std::iter::once(first.to_owned()).chain(shown(classes).iter().map(|m| (*m).to_owned())).collect()
    };
    let mut out = Vec::new();
    if all.iter().any(|m| m.folds.len() > 1) {
        let rows = all.iter().map(|m| {
            let cell = |metric: &&str| match m.spread(metric) {
                Some(s) => json!(match s.sd {
                    Some(sd) => format!("{:.3} ± {sd:.3}{}", s.mean, partial(s.n, m.folds.len())),
                    None => format!("{:.3}{}", s.mean, partial(s.n, m.folds.len())),
                }),
                None => Value::Null,
            };
            std::iter::once(json!(m.name)).chain(shown(classes).iter().map(cell)).collect()
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
        let cell = |metric: &&str| json!(m.merged.get(*metric).copied().flatten());
        std::iter::once(json!(m.name)).chain(shown(classes).iter().map(cell)).collect()
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

/// Paired tests of each model against each baseline over folds.
pub(super) fn paired(models: &[Measured], baselines: &[Measured], classes: usize) -> Option<Table> {
    let mut rows = Vec::new();
    for model in models {
        for baseline in baselines {
            for metric in deciding(classes) {
                let (a, b): (Vec<f64>, Vec<f64>) = model
                    .values(metric)
                    .into_iter()
                    .zip(baseline.values(metric))
                    .filter_map(|(a, b)| Some((a?, b?)))
                    .unzip();
                let folds = model.folds.len();
                if a.len() < 3 {
                    continue;
                }
                let mean = a.iter().zip(&b).map(|(a, b)| a - b).sum::<f64>() / a.len() as f64;
                let p = nadeau_bengio(&a, &b, 1.0 / (a.len() as f64 - 1.0)).map(|t| t.p_two_sided);
                rows.push(vec![
                    json!(model.name),
                    json!(baseline.name),
                    json!(metric),
                    json!(mean),
                    json!(if a.len() < folds {
                        format!("{} of {folds}", a.len())
                    } else {
                        folds.to_string()
                    }),
                    json!(p.map(p_value)),
                ]);
            }
        }
    }
    (!rows.is_empty()).then(|| Table {
        title: "Difference of model and baseline over folds".to_owned(),
        columns: ["model", "baseline", "metric", "mean difference", "folds", "p"].map(str::to_owned).to_vec(),
        rows,
        note:
            "Over the folds where the metric is defined for both. p: paired t test corrected for the overlap of training sets (Nadeau and Bengio 2003), two-sided."
                .to_owned(),
    })
}

/// As text, because small ones would print as 0.000.
fn p_value(p: f64) -> String {
    if p < 1e-3 { format!("{p:.1e}") } else { format!("{p:.3}") }
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
