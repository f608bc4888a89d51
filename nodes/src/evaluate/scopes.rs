//! One model or baseline over its folds and over everything tested, as tables and numbers: the same for classes and for
//! numbers.

use celldag_engine::document::Table;
use serde_json::{Map, Value, json};

use super::measure::Metrics;
use super::metrics::Spread;

/// Metrics of one model by fold and once over all tests.
pub(super) struct Scopes<'a> {
    pub(super) name: &'a str,
    pub(super) baseline: bool,
    pub(super) folds: Vec<(String, &'a Metrics)>,
    pub(super) merged: &'a Metrics,
}

/// A metric's value, if it is there and defined.
pub(super) fn value(metrics: &Metrics, metric: &str) -> Option<f64> {
    metrics.get(metric).copied().flatten()
}

/// `0.812 ± 0.034`, followed by `(4 of 5)` when the values are those of a part of `of` folds or groups.
pub(super) fn with_sd(spread: &Spread, of: usize) -> String {
    let sd = spread.sd.map(|sd| format!(" ± {sd:.3}")).unwrap_or_default();
    let part = if spread.n < of { format!(" ({} of {of})", spread.n) } else { String::new() };
    format!("{:.3}{sd}{part}", spread.mean)
}

impl Scopes<'_> {
    /// Spread of a metric over the folds where it is defined.
    pub(super) fn spread(&self, metric: &str) -> Option<Spread> {
        Spread::of(&self.folds.iter().filter_map(|(_, m)| value(m, metric)).collect::<Vec<_>>())
    }

    /// Mean ± sd over folds.
    pub(super) fn mean_and_sd(&self, metric: &str) -> Value {
        json!(self.spread(metric).map(|s| with_sd(&s, self.folds.len())))
    }

    /// Everything as nested JSON: role, spread over folds (with quartiles, for box plots), merged, folds.
    pub(super) fn numbers(&self) -> Map<String, Value> {
        let one = |metric: &&'static str| {
            let s = self.spread(metric);
            let of = |get: fn(&Spread) -> f64| s.as_ref().map(get);
            let entry = json!({
                "mean": of(|s| s.mean),
                "sd": s.as_ref().and_then(|s| s.sd),
                "se": s.as_ref().and_then(|s| s.se),
                "min": of(|s| s.min),
                "q25": of(|s| s.q25),
                "median": of(|s| s.median),
                "q75": of(|s| s.q75),
                "max": of(|s| s.max),
                "defined": s.as_ref().map_or(0, |s| s.n),
            });
            ((*metric).to_owned(), entry)
        };
        let folds: Map<String, Value> = self.folds.iter().map(|(f, m)| (f.clone(), json!(m))).collect();
        let mut out = Map::new();
        out.insert("role".to_owned(), json!(if self.baseline { "baseline" } else { "model" }));
        out.insert("over_folds".to_owned(), self.merged.keys().map(one).collect::<Map<_, _>>().into());
        out.insert("merged".to_owned(), json!(self.merged));
        out.insert("folds".to_owned(), folds.into());
        out
    }
}

/// Models and baselines side by side in the metrics `shown`: mean ± sd over folds where there are several, and once over all
/// tests. `what` is tested: cells, pairs.
pub(super) fn side_by_side(all: &[Scopes<'_>], shown: &[&str], what: &str, note: &str) -> Vec<Table> {
    let columns: Vec<String> =
        std::iter::once("model").chain(shown.iter().copied()).map(str::to_owned).collect();
    let rows = |cell: &dyn Fn(&Scopes<'_>, &str) -> Value| -> Vec<Vec<Value>> {
        let row = |m: &Scopes<'_>| {
            std::iter::once(json!(m.name)).chain(shown.iter().map(|metric| cell(m, metric))).collect()
        };
        all.iter().map(row).collect()
    };
    let mut out = Vec::new();
    if all.iter().any(|m| m.folds.len() > 1) {
        out.push(Table {
            title: "Metrics: mean ± standard deviation over folds".to_owned(),
            columns: columns.clone(),
            rows: rows(&|m, metric| m.mean_and_sd(metric)),
            note: "Sample standard deviation (n - 1). A number in brackets says in how many folds the metric is defined."
                .to_owned(),
        });
    }
    out.push(Table {
        title: format!("Metrics once over all test {what}"),
        columns,
        rows: rows(&|m, metric| json!(value(m.merged, metric))),
        note: note.to_owned(),
    });
    out
}

/// Every metric over all tests, models as columns.
pub(super) fn complete(all: &[Scopes<'_>], what: &str, note: &str) -> Option<Table> {
    let first = all.first()?;
    let columns = std::iter::once("metric").chain(all.iter().map(|m| m.name)).map(str::to_owned).collect();
    let row = |metric: &&'static str| -> Vec<Value> {
        std::iter::once(json!(metric)).chain(all.iter().map(|m| json!(value(m.merged, metric)))).collect()
    };
    Some(Table {
        title: format!("All metrics over all test {what}"),
        columns,
        rows: first.merged.keys().map(row).collect(),
        note: note.to_owned(),
    })
}
