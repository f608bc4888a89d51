//! The report of predicted responses.

use celldag_engine::document::{Colouring, DOCUMENT_FORMAT, Figure, ReportDocument, Table};
use celldag_engine::{NodeError, Step};
use serde_json::{Map, Value, json};

use super::kind::Options;
use super::measure::{PairMetrics, Predicted, within};
use super::run::Measured;
use crate::evaluate::metrics::Spread;
use crate::evaluate::run::for_the_page;
use crate::learn::failure::io;

/// Metrics of the first table, in reading order.
const SHOWN: [&str; 8] = [
    "pearson",
    "spearman",
    "rmse",
    "mae",
    "r2",
    "pearson_within_drug",
    "pearson_within_line",
    "drugs_defined",
];
/// Most pairs of a figure.
const POINTS: usize = 5000;

pub(super) fn write(
    step: &Step<'_>,
    options: &Options,
    all: &[Measured],
    trained: bool,
    warnings: &[String],
) -> Result<(), NodeError> {
    let mut tables = Vec::new();
    if all.iter().any(|m| m.folds.len() > 1) {
        tables.push(over_folds(all));
    }
    tables.push(Table {
        title: "Metrics once over all test pairs".to_owned(),
        columns: header("model", all.first().map(|_| SHOWN.as_slice()).unwrap_or_default()),
        rows: all.iter().map(|m| row(&m.name, SHOWN.iter().map(|metric| json!(value(&m.merged, metric))))).collect(),
        note: "pearson_within_drug: mean correlation over lines within each drug that has at least three pairs and predictions \
               that vary (drugs_defined of them). It says whether the cell matters; the correlation over all pairs mostly \
               says that drugs differ."
            .to_owned(),
    });
    tables.push(complete(all));
    let headline = |metric: &'static str| {
        all.iter().map(move |m| (format!("{metric} {}", m.name), value(&m.merged, metric)))
    };
    let document = ReportDocument {
        format: DOCUMENT_FORMAT.to_owned(),
        title: options.title.clone(),
        notes: vec![
            format!(
                "{} test pairs; baselines are fitted on {}.",
                all.first().map_or(0, |m| m.pairs.len()),
                if trained { "the training table" } else { "the pairs of the other folds" }
            ),
            "Undefined values are left empty: a correlation without variation, an explained variance of constant truth."
                .to_owned(),
        ],
        warnings: warnings.iter().map(|w| for_the_page(w)).collect(),
        headline: headline("pearson").chain(headline("pearson_within_drug")).collect(),
        metrics: all.iter().map(numbers).collect(),
        tables,
        figures: all.iter().filter(|m| !m.baseline).map(scatter).collect(),
    };
    let text = serde_json::to_string_pretty(&document).map_err(io)?;
    fs_err::write(step.output("report")?, text + "\n").map_err(io)?;
    flat(step, all)?;
    for warning in &document.warnings {
        step.warn(warning.as_str());
    }
    for (name, value) in &document.headline {
        step.fact(name, *value);
    }
    Ok(())
}

fn value(metrics: &PairMetrics, metric: &str) -> Option<f64> {
    metrics.get(metric).copied().flatten()
}

fn spread(model: &Measured, metric: &str) -> Option<Spread> {
    Spread::of(&model.folds.values().filter_map(|m| value(m, metric)).collect::<Vec<_>>())
}

fn header(first: &str, metrics: &[&str]) -> Vec<String> {
    std::iter::once(first).chain(metrics.iter().copied()).map(str::to_owned).collect()
}

fn row(name: &str, values: impl Iterator<Item = Value>) -> Vec<Value> {
    std::iter::once(json!(name)).chain(values).collect()
}

fn over_folds(all: &[Measured]) -> Table {
    let cell = |m: &Measured, metric: &str| {
        json!(spread(m, metric).map(|s| {
            let sd = s.sd.map(|sd| format!(" ± {sd:.3}")).unwrap_or_default();
            let of =
                if s.n < m.folds.len() { format!(" ({} of {})", s.n, m.folds.len()) } else { String::new() };
            format!("{:.3}{sd}{of}", s.mean)
        }))
    };
    Table {
        title: "Metrics: mean ± standard deviation over folds".to_owned(),
        columns: header("model", &SHOWN),
        rows: all.iter().map(|m| row(&m.name, SHOWN.iter().map(|metric| cell(m, metric)))).collect(),
        note: "Sample standard deviation (n - 1). A number in brackets says in how many folds the metric is defined.".to_owned(),
    }
}

fn complete(all: &[Measured]) -> Table {
    let names: Vec<&str> = all.first().map(|m| m.merged.keys().copied().collect()).unwrap_or_default();
    let mut columns = vec!["metric".to_owned()];
    columns.extend(all.iter().map(|m| m.name.clone()));
    let line = |metric: &&str| row(metric, all.iter().map(|m| json!(value(&m.merged, metric))));
    Table {
        title: "All metrics over all test pairs".to_owned(),
        columns,
        rows: names.iter().map(line).collect(),
        note: "mre_as_printed: mean of (truth - prediction)² / truth, as the scFoundation paper prints its relative error."
            .to_owned(),
    }
}

fn numbers(model: &Measured) -> (String, Value) {
    let over: Map<String, Value> = model
        .merged
        .keys()
        .map(|metric| {
            let s = spread(model, metric);
            let entry = json!({
                "mean": s.as_ref().map(|s| s.mean),
                "sd": s.as_ref().and_then(|s| s.sd),
                "defined": s.as_ref().map_or(0, |s| s.n),
            });
            ((*metric).to_owned(), entry)
        })
        .collect();
    let role = if model.baseline { "baseline" } else { "model" };
    let entry = json!({ "role": role, "over_folds": over, "merged": model.merged, "folds": model.folds });
    (model.name.clone(), entry)
}

/// Truth against prediction, coloured by the absolute error.
fn scatter(model: &Measured) -> Figure {
    let mut pairs: Vec<&Predicted> = model.pairs.iter().collect();
    if pairs.len() > POINTS {
        // A sample that depends on the names only.
        pairs.sort_by_cached_key(|p| {
            *blake3::hash(format!("{}\t{}", p.response.drug, p.response.line).as_bytes()).as_bytes()
        });
        pairs.truncate(POINTS);
    }
    let error = |p: &&Predicted| Some((p.response.value - p.prediction).abs() as f32);
    Figure::Scatter {
        title: format!("{}: {} of {} test pairs", model.name, pairs.len(), model.pairs.len()),
        x: "measured".to_owned(),
        y: "predicted".to_owned(),
        points: pairs.iter().map(|p| [p.response.value as f32, p.prediction as f32]).collect(),
        colourings: vec![Colouring::Value {
            title: "absolute error".to_owned(),
            values: pairs.iter().map(error).collect(),
        }],
    }
}

fn flat(step: &Step<'_>, all: &[Measured]) -> Result<(), NodeError> {
    let file = fs_err::File::create(step.output("metrics")?).map_err(io)?;
    let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
    out.write_record(["model", "scope", "fold", "metric", "value"]).map_err(io)?;
    let text = |v: Option<f64>| v.map(|v| v.to_string()).unwrap_or_default();
    for model in all {
        let mut line = |scope: &str, at: &str, metric: &str, value: Option<f64>| {
            out.write_record([model.name.as_str(), scope, at, metric, &text(value)]).map_err(io)
        };
        for (fold, metrics) in &model.folds {
            for (metric, value) in metrics {
                line("fold", fold, metric, *value)?;
            }
        }
        for (metric, value) in &model.merged {
            let s = spread(model, metric);
            line("mean", "", metric, s.as_ref().map(|s| s.mean))?;
            line("sd", "", metric, s.and_then(|s| s.sd))?;
            line("merged", "", metric, *value)?;
        }
        let pairs: Vec<&Predicted> = model.pairs.iter().collect();
        let bad = |e: crate::evaluate::metrics::MetricError| NodeError::data(e.to_string());
        let by_drug = within(&pairs, |p| &p.response.drug).map_err(bad)?;
        let by_line = within(&pairs, |p| &p.response.line).map_err(bad)?;
        for (scope, groups) in [("drug", by_drug), ("line", by_line)] {
            for (name, metrics) in groups {
                for metric in ["pearson", "spearman", "rmse", "n"] {
                    line(scope, name, metric, value(&metrics, metric))?;
                }
            }
        }
    }
    out.flush().map_err(io)
}
