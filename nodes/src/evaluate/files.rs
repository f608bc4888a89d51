//! The two files that every kind that measures writes: the report document and the flat table.

use std::io::BufWriter;

use celldag_engine::document::ReportDocument;
use celldag_engine::{NodeError, OutPort, Step};

use super::measure::Metrics;
use super::scopes::Scopes;
use crate::artifacts::{METRICS, REPORT};
use crate::learn::failure::io;

/// The ports of these files, and what they hold.
pub(super) fn outputs(report: &'static str, metrics: &'static str) -> Vec<OutPort> {
    vec![
        OutPort { name: "report", ty: REPORT, file: "report.json", about: report },
        OutPort { name: "metrics", ty: METRICS, file: "metrics.csv", about: metrics },
    ]
}

/// Writes the report and tells the user its warnings and headline.
pub(super) fn write_report(step: &Step<'_>, mut document: ReportDocument) -> Result<(), NodeError> {
    for text in document.notes.iter_mut().chain(&mut document.warnings) {
        *text = for_the_page(text);
    }
    let text = serde_json::to_string_pretty(&document).map_err(io)?;
    fs_err::write(step.output("report")?, text + "\n").map_err(io)?;
    for warning in &document.warnings {
        step.warn(warning.as_str());
    }
    for (name, value) in &document.headline {
        step.fact(name, *value);
    }
    Ok(())
}

/// Messages name things in backticks, as on a terminal; a page wants quotation marks.
fn for_the_page(text: &str) -> String {
    let mut open = false;
    let quote = |c: char| match c {
        '`' => {
            open = !open;
            if open { '“' } else { '”' }
        }
        c => c,
    };
    text.chars().map(quote).collect()
}

/// The table of all numbers for programs: `model, scope, fold, metric, value`. Undefined values are empty.
pub(super) struct FlatTable {
    out: csv::Writer<BufWriter<fs_err::File>>,
}

impl FlatTable {
    /// Begins the file of the output `metrics`.
    pub(super) fn create(step: &Step<'_>) -> Result<Self, NodeError> {
        let file = fs_err::File::create(step.output("metrics")?).map_err(io)?;
        let mut out = csv::Writer::from_writer(BufWriter::new(file));
        out.write_record(["model", "scope", "fold", "metric", "value"]).map_err(io)?;
        Ok(Self { out })
    }

    /// One number. `at` is the fold, or the name of the group that the scope speaks of.
    pub(super) fn row(
        &mut self,
        model: &str,
        scope: &str,
        at: &str,
        metric: &str,
        value: Option<f64>,
    ) -> Result<(), NodeError> {
        let text = value.map(|v| v.to_string()).unwrap_or_default();
        self.out.write_record([model, scope, at, metric, &text]).map_err(io)
    }

    /// All metrics of one place.
    pub(super) fn rows(
        &mut self,
        model: &str,
        scope: &str,
        at: &str,
        metrics: &Metrics,
    ) -> Result<(), NodeError> {
        metrics.iter().try_for_each(|(metric, value)| self.row(model, scope, at, metric, *value))
    }

    /// Every scope of a model: `fold`; `mean`, `sd` and `se` over the folds where the metric is defined; `merged`, once
    /// over everything that was tested.
    pub(super) fn model(&mut self, model: &Scopes<'_>) -> Result<(), NodeError> {
        for (fold, metrics) in &model.folds {
            self.rows(model.name, "fold", fold, metrics)?;
        }
        for metric in model.merged.keys() {
            let spread = model.spread(metric);
            self.row(model.name, "mean", "", metric, spread.as_ref().map(|s| s.mean))?;
            self.row(model.name, "sd", "", metric, spread.as_ref().and_then(|s| s.sd))?;
            self.row(model.name, "se", "", metric, spread.and_then(|s| s.se))?;
        }
        self.rows(model.name, "merged", "", model.merged)
    }

    /// Completes the file.
    pub(super) fn finish(mut self) -> Result<(), NodeError> {
        self.out.flush().map_err(io)
    }
}
