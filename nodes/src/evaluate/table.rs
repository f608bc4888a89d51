//! All numbers as a flat table, for programs.

use std::path::Path;

use celldag_engine::NodeError;

use super::measure::Measured;
use crate::learn::failure::io;

/// Writes `model, scope, fold, metric, value`. Scopes: `fold`, `mean` and `sd` (over the folds where the metric is
/// defined, n - 1), `merged` (once over all test cells). Undefined values are empty.
pub(super) fn write(path: &Path, models: &[&Measured]) -> Result<(), NodeError> {
    let file = fs_err::File::create(path).map_err(io)?;
    let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
    out.write_record(["model", "scope", "fold", "metric", "value"]).map_err(io)?;
    let text = |v: Option<f64>| v.map(|v| v.to_string()).unwrap_or_default();
    for model in models {
        let mut row = |scope: &str, fold: &str, metric: &str, value: Option<f64>| {
            out.write_record([model.name.as_str(), scope, fold, metric, &text(value)]).map_err(io)
        };
        for (fold, metrics) in &model.folds {
            for (metric, value) in metrics {
                row("fold", &fold_name(*fold), metric, *value)?;
            }
        }
        for metric in model.merged.keys() {
            let spread = model.spread(metric);
            row("mean", "", metric, spread.as_ref().map(|s| s.mean))?;
            row("sd", "", metric, spread.and_then(|s| s.sd))?;
        }
        for (metric, value) in &model.merged {
            row("merged", "", metric, *value)?;
        }
    }
    out.flush().map_err(io)
}

/// `3`, or `1/3` in a later repeat.
pub(super) fn fold_name((repeat, fold): (u32, u32)) -> String {
    if repeat > 0 { format!("{repeat}/{fold}") } else { fold.to_string() }
}
