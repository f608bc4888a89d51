//! `celldag runs diff`: two runs side by side: parameters, inputs, results, cost.

use celldag_cache::Store;
use celldag_engine::plan::duration;
use celldag_engine::record::{self, IncludedChange, JobDiff, MetricChange, ResultsDiff, RunCost};
use celldag_engine::{RunRecord, short};
use serde_json::{Value, json};

use super::why::place;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{cell, table};

/// More changed numbers than this are counted; `--json` has all.
const MOST_METRICS: usize = 20;

/// More changed jobs than this are counted.
const MOST_JOBS: usize = 100;

pub(super) fn show(store: &Store, a: &RunRecord, b: &RunRecord, output: &Output) -> Result<(), Failure> {
    let diff = record::diff(a, b);
    let results = record::diff_results(store, a, b);
    if output.json {
        return output.json_result(&json!({ "jobs": diff.jobs, "same": diff.same, "results": results }));
    }
    if let Some((first, second)) = &results.runs {
        output.result(&cost(first, second, &results.included))?;
    }
    output.result(&metrics(&results))?;
    let sources = |job: &str| b.job(job).map(|job| job.inputs.as_slice()).unwrap_or_default();
    for job in diff.jobs.iter().take(MOST_JOBS) {
        match job {
            JobDiff::Added { job } => output.result(&format!("+ {job}"))?,
            JobDiff::Removed { job } => output.result(&format!("- {job}"))?,
            JobDiff::Changed { job, outcomes, changes, outputs, facts } => {
                output.result(&format!("~ {job}"))?;
                if let Some((before, after)) = outcomes {
                    output.result(&format!("    ended {before:?} then {after:?}").to_lowercase())?;
                }
                for change in changes {
                    output.result(&format!("    {change}{}", place(change, sources(job))))?;
                }
                for (name, (before, after)) in facts {
                    let shown = |value: &Option<Value>| value.as_ref().map_or("–".to_owned(), cell);
                    output.result(&format!("    {name}: {} → {}", shown(before), shown(after)))?;
                }
                if !outputs.is_empty() {
                    output.result(&format!("    other content on: {}", outputs.join(", ")))?;
                }
            }
        }
    }
    if diff.jobs.len() > MOST_JOBS {
        output.result(&format!("and {} jobs more; --json has all", diff.jobs.len() - MOST_JOBS))?;
    }
    for (path, (before, after)) in &results.files {
        let what = match (before, after) {
            (Some(_), Some(_)) => "has other content",
            (None, _) => "is new",
            (_, None) => "is not written any more",
        };
        output.result(&format!("{path} {what}"))?;
    }
    output.result(&format!("{} jobs differ, {} agree", diff.jobs.len(), diff.same))
}

fn cost(first: &RunCost, second: &RunCost, included: &[IncludedChange]) -> String {
    let mut rows = vec![
        vec!["time".to_owned(), duration(first.seconds), duration(second.seconds)],
        vec!["computed".to_owned(), first.ran.to_string(), second.ran.to_string()],
        vec!["cached".to_owned(), first.cached.to_string(), second.cached.to_string()],
    ];
    if first.version != second.version {
        rows.push(vec!["celldag".to_owned(), first.version.clone(), second.version.clone()]);
    }
    if first.pipeline_digest != second.pipeline_digest {
        let (first, second) = (first.pipeline_digest.as_deref(), second.pipeline_digest.as_deref());
        rows.push(vec!["pipeline file".to_owned(), digest(first), digest(second)]);
    }
    for file in included {
        let (before, after) = (digest(file.before.as_deref()), digest(file.after.as_deref()));
        rows.push(vec![format!("included {}", file.path), before, after]);
    }
    table(&["", &first.id, &second.id], &rows)
}

fn digest(digest: Option<&str>) -> String {
    digest.map_or("–", short).to_owned()
}

/// Numbers of the results, the largest change first.
fn metrics(results: &ResultsDiff) -> String {
    let mut text = String::new();
    if results.metrics.is_empty() {
        text.push_str("no number of a report differs\n");
    } else {
        let shown = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
        let row = |change: &MetricChange| {
            let by = match (change.before, change.after) {
                (Some(before), Some(after)) => format!("{:+.4}", after - before),
                (None, _) => "was undefined".to_owned(),
                (_, None) => "is undefined".to_owned(),
            };
            vec![change.job.clone(), change.path.clone(), shown(change.before), shown(change.after), by]
        };
        let rows: Vec<Vec<String>> = results.metrics.iter().take(MOST_METRICS).map(row).collect();
        text.push_str(&table(&["job", "number", "before", "after", "change"], &rows));
        if results.metrics.len() > MOST_METRICS {
            text.push_str(&format!(
                "and {} numbers more; --json has all\n",
                results.metrics.len() - MOST_METRICS
            ));
        }
    }
    for output in &results.unread {
        text.push_str(&format!("{output}: its bytes are gone, numbers cannot be compared\n"));
    }
    text
}
