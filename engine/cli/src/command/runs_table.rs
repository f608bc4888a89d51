//! `celldag runs table`: what the jobs of one kind reported, side by side.

use std::collections::BTreeSet;

use celldag_engine::{JobOutcome, JobRecord, RunRecord};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::text::{cell, table};

pub(crate) fn show(run: &RunRecord, kind: &str, output: &Output) -> Result<(), Failure> {
    let done = |job: &&JobRecord| matches!(job.outcome, JobOutcome::Hit | JobOutcome::Ran);
    let rows: Vec<Map<String, Value>> =
        run.jobs.iter().filter(|job| job.kind == kind).filter(done).map(row).collect();
    if rows.is_empty() {
        let kinds: BTreeSet<&str> = run.jobs.iter().map(|job| job.kind.as_str()).collect();
        let kinds: Vec<&str> = kinds.into_iter().collect();
        return Err(Failure::Usage {
            message: format!("run {} has no finished job of the kind `{kind}`", run.header.id),
            help: Some(format!("its kinds are {}", kinds.join(", "))),
        });
    }
    if output.json {
        return output.json_result(&rows);
    }
    // What tells the jobs apart comes first.
    let axes = run.jobs.iter().filter(|job| job.kind == kind).flat_map(|job| job.coordinates.keys());
    let mut columns: Vec<&str> = Vec::new();
    for name in axes.chain(rows.iter().flat_map(Map::keys)) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let text = |row: &Map<String, Value>| {
        columns.iter().map(|&c| row.get(c).map_or_else(String::new, cell)).collect()
    };
    output.result(&table(&columns, &rows.iter().map(text).collect::<Vec<_>>()))
}

/// Axes, facts and execution of a job; what is itself a list or a mapping does not fit a table.
fn row(job: &JobRecord) -> Map<String, Value> {
    let mut row = Map::new();
    if job.coordinates.is_empty() {
        row.insert("job".to_owned(), json!(job.id));
    }
    row.extend(job.coordinates.iter().map(|(axis, value)| (axis.clone(), json!(value))));
    let told = job.summary.facts.iter().chain(&job.summary.execution);
    row.extend(
        told.filter(|(_, value)| !value.is_object() && !value.is_array())
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    row.insert("seconds".to_owned(), json!((job.seconds * 1000.0).round() / 1000.0));
    row
}
