//! The first table of a report: every model and baseline in the deciding metrics, with intervals and the test against the best
//! baseline.

use celldag_engine::document::Table;
use serde_json::{Value, json};

use super::compare::Comparison;
use super::fair::fair;
use super::measure::{Measured, deciding};
use super::scopes::{value, with_sd};
use super::uncertainty::{Uncertainty, p_value};

/// One row a model and deciding metric.
pub(super) fn table(
    models: &[Measured],
    baselines: &[Measured],
    classes: usize,
    uncertainty: Option<&Uncertainty>,
    comparisons: &[Comparison],
) -> Table {
    let mut columns = vec!["model", "metric", "mean ± sd over folds", "all test cells"];
    if uncertainty.is_some() {
        columns.extend(["interval by cell", "interval by group"]);
    }
    if !baselines.is_empty() {
        columns.extend(["best baseline", "difference", "p", "p adjusted"]);
    }
    let mut rows = Vec::new();
    for metric in deciding(classes) {
        for (at, model) in models.iter().chain(baselines).enumerate() {
            let mut row = vec![
                json!(model.name),
                json!(metric),
                json!(model.spread(metric).map(|s| with_sd(&s, model.folds.len()))),
                json!(value(&model.merged, metric)),
            ];
            row.extend(uncertainty.into_iter().flat_map(|u| u.texts(&model.name, metric)));
            if !baselines.is_empty() {
                let own = at < models.len();
                row.extend(if own {
                    against(model, baselines, metric, comparisons)
                } else {
                    vec![Value::Null; 4]
                });
            }
            rows.push(row);
        }
    }
    Table {
        title: "Models and baselines".to_owned(),
        columns: columns.into_iter().map(str::to_owned).collect(),
        rows,
        note: note(uncertainty, baselines),
    }
}

/// The best baseline in this metric on equal terms, by how much the model is better, and the paired test.
fn against(model: &Measured, baselines: &[Measured], metric: &str, comparisons: &[Comparison]) -> Vec<Value> {
    let all: Vec<&Measured> = std::iter::once(model).chain(baselines).collect();
    let values = fair(&all, metric).values;
    let best = baselines
        .iter()
        .zip(&values[1..])
        .filter_map(|(baseline, value)| Some((baseline, (*value)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((best, theirs)) = best else { return vec![Value::Null; 4] };
    let test =
        comparisons.iter().find(|c| c.model == model.name && c.other == best.name && c.metric == metric);
    let p = |get: fn(&Comparison) -> Option<f64>| json!(test.and_then(get).map(p_value));
    vec![json!(best.name), json!(values[0].map(|own| own - theirs)), p(|c| c.corrected), p(|c| c.adjusted)]
}

fn note(uncertainty: Option<&Uncertainty>, baselines: &[Measured]) -> String {
    let mut note = "sd: sample standard deviation over the folds where the metric is defined.".to_owned();
    if let Some(uncertainty) = uncertainty {
        note.push(' ');
        note.push_str(&uncertainty.about());
    }
    if !baselines.is_empty() {
        note.push_str(
            " Difference: model less best baseline, over the folds where all of them are defined (or over all test cells where \
             there is no such fold). p: two-sided paired t test over folds, corrected for the overlap of training sets (Nadeau \
             and Bengio 2003); adjusted: for all comparisons in this metric (Holm). The best baseline is chosen after the \
             fact, which favours the baseline.",
        );
    }
    note
}
