//! Intervals and paired tests as tables and numbers.

use celldag_engine::document::Table;
use serde_json::{Map, Value, json};

use super::bootstrap::{Draws, Interval, Settings, Unit, drawn_metrics, draws};
use super::compare::Comparison;
use super::measure::Measured;
use super::metrics::MetricError;
use super::models::ScoredModel;
use super::scopes::value;

/// Draws of both kinds for the same models; a sentence where a kind is impossible.
pub(super) struct Uncertainty {
    names: Vec<String>,
    by_cell: Result<Vec<Draws>, String>,
    by_group: Result<Vec<Draws>, String>,
    settings: Settings,
}

impl Uncertainty {
    /// Draws for all models together. `None` when no draws are wanted.
    ///
    /// # Errors
    /// Scores that are not finite.
    pub(super) fn of(
        models: &[&ScoredModel],
        classes: usize,
        settings: Settings,
    ) -> Result<Option<Self>, MetricError> {
        if settings.draws == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            names: models.iter().map(|m| m.name.clone()).collect(),
            by_cell: draws(models, classes, Unit::Cell, &settings)?,
            by_group: draws(models, classes, Unit::Group, &settings)?,
            settings,
        }))
    }

    fn interval(&self, drawn: &Result<Vec<Draws>, String>, model: &str, metric: &str) -> Interval {
        let at = self.names.iter().position(|n| n == model).ok_or("it was not drawn")?;
        drawn.as_ref().map_err(Clone::clone)?[at].interval(metric, self.settings.confidence)
    }

    fn difference(
        &self,
        drawn: &Result<Vec<Draws>, String>,
        model: &str,
        other: &str,
        metric: &str,
    ) -> Interval {
        let at = |name: &str| self.names.iter().position(|n| n == name).ok_or("it was not drawn");
        let (model, other) = (at(model)?, at(other)?);
        let drawn = drawn.as_ref().map_err(Clone::clone)?;
        drawn[model].difference(&drawn[other], metric, self.settings.confidence)
    }

    /// The intervals of a metric over all test cells, by cell and by group, as text; empty where there is none.
    pub(super) fn texts(&self, model: &str, metric: &str) -> [Value; 2] {
        [&self.by_cell, &self.by_group].map(|drawn| shown(&self.interval(drawn, model, metric)))
    }

    /// What the intervals are, in a sentence or two.
    pub(super) fn about(&self) -> String {
        let mut note = format!(
            "Intervals ({:.0} %) are of the figures over all test cells: percentile bootstrap, {} draws, seed {}. By cell: cells \
             drawn anew, as if they were independent. By group: whole groups (samples, patients, studies) drawn anew; cells of \
             one group are alike, so this is the interval that speaks about new groups.",
            100.0 * self.settings.confidence,
            self.settings.draws,
            self.settings.seed
        );
        if let Err(why) = &self.by_group {
            note.push_str(&format!(" None by group: {why}."));
        }
        note
    }

    /// Every metric that was drawn, with both intervals.
    pub(super) fn table(&self, all: &[&Measured], classes: usize) -> Table {
        let mut rows = Vec::new();
        for model in all {
            for metric in drawn_metrics(classes) {
                let [by_cell, by_group] = self.texts(&model.name, metric);
                rows.push(vec![
                    json!(model.name),
                    json!(metric),
                    json!(value(&model.merged, metric)),
                    by_cell,
                    by_group,
                ]);
            }
        }
        let share = 100.0 * self.settings.confidence;
        Table {
            title: format!("{share:.0} % intervals of the figures over all test cells"),
            columns: ["model", "metric", "value", "by cell", "by group"].map(str::to_owned).to_vec(),
            rows,
            note: self.about(),
        }
    }

    /// All intervals of one model.
    pub(super) fn numbers(&self, model: &str) -> Value {
        let of = |drawn: &Result<Vec<Draws>, String>| match drawn {
            Err(why) => json!({ "undefined": why }),
            Ok(models) => {
                let metrics =
                    models.first().map(|d| d.0.keys().copied().collect::<Vec<_>>()).unwrap_or_default();
                let entry = |metric: &str| match self.interval(drawn, model, metric) {
                    Ok([low, high]) => json!({ "low": low, "high": high }),
                    Err(why) => json!({ "low": null, "high": null, "undefined": why }),
                };
                metrics.into_iter().map(|m| (m.to_owned(), entry(m))).collect::<Map<_, _>>().into()
            }
        };
        json!({
            "confidence": self.settings.confidence,
            "draws": self.settings.draws,
            "by_cell": of(&self.by_cell),
            "by_group": of(&self.by_group),
        })
    }
}

/// Two numbers, or nothing.
fn shown(interval: &Interval) -> Value {
    json!(interval.as_ref().ok().map(|[low, high]| format!("{low:.3} to {high:.3}")))
}

/// Tests of models with baselines, or with each other.
pub(super) fn paired(
    comparisons: &[&Comparison],
    uncertainty: Option<&Uncertainty>,
    title: &str,
    other: &str,
) -> Option<Table> {
    if comparisons.is_empty() {
        return None;
    }
    let mut columns =
        ["model", other, "metric", "mean difference", "folds", "p", "p adjusted", "p paired t", "p Wilcoxon"]
            .map(str::to_owned)
            .to_vec();
    if uncertainty.is_some() {
        columns.extend(["difference over all cells, by cell", "by group"].map(str::to_owned));
    }
    let row = |c: &&Comparison| {
        let folds = if c.folds < c.of { format!("{} of {}", c.folds, c.of) } else { c.of.to_string() };
        let p = |p: Option<f64>| json!(p.map(p_value));
        let mut row = vec![
            json!(c.model),
            json!(c.other),
            json!(c.metric),
            json!(c.difference),
            json!(folds),
            p(c.corrected),
            p(c.adjusted),
            p(c.plain),
            p(c.wilcoxon),
        ];
        if let Some(u) = uncertainty {
            row.push(shown(&u.difference(&u.by_cell, &c.model, &c.other, c.metric)));
            row.push(shown(&u.difference(&u.by_group, &c.model, &c.other, c.metric)));
        }
        row
    };
    Some(Table {
        title: title.to_owned(),
        columns,
        rows: comparisons.iter().map(row).collect(),
        note: "Over the folds where the metric is defined for both, two-sided. p: paired t test corrected for the overlap of \
               training sets (Nadeau and Bengio 2003); adjusted: for all comparisons in this metric (Holm). The plain paired t \
               test and Wilcoxon's take folds for independent, which they are not: their p values are too small. Empty: \
               the differences do not vary, or fewer than three folds."
            .to_owned(),
    })
}

/// Comparisons of one model as numbers: other → metric → test.
pub(super) fn compared(comparisons: &[Comparison], model: &str) -> Value {
    let mut out: Map<String, Value> = Map::new();
    for c in comparisons.iter().filter(|c| c.model == model) {
        let test = json!({
            "mean_difference": c.difference,
            "folds": c.folds,
            "p_corrected": c.corrected,
            "p_adjusted": c.adjusted,
            "p_paired_t": c.plain,
            "p_wilcoxon": c.wilcoxon,
        });
        if let Value::Object(metrics) = out.entry(c.other.clone()).or_insert_with(|| json!({})) {
            metrics.insert(c.metric.to_owned(), test);
        }
    }
    Value::Object(out)
}

/// As text, because small ones would print as 0.000.
pub(super) fn p_value(p: f64) -> String {
    if p < 1e-3 { format!("{p:.1e}") } else { format!("{p:.3}") }
}
