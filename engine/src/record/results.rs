//! What differs between the *results* of two runs: numbers of report documents, by their place in them.

use std::collections::{BTreeMap, BTreeSet};

use celldag_cache::{Artifact, Key, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{IncludedChange, JobOutcome, JobRecord, RunHeader, RunRecord, included_changes, stored};
use crate::document::DOCUMENT_FORMAT;

/// A number that is not the same in both runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricChange {
    /// Job id.
    pub job: String,
    /// Its output port.
    pub port: String,
    /// Place in the document: `metrics.auroc.mean`.
    pub path: String,
    /// In the first run; `None` when undefined or not there.
    pub before: Option<f64>,
    /// In the second run.
    pub after: Option<f64>,
}

impl MetricChange {
    /// How much it changed: absolute for numbers up to 1, as most metrics are, and in relation to their size for larger ones.
    /// A number that came or went outranks all.
    #[must_use]
    pub fn size(&self) -> f64 {
        match (self.before, self.after) {
            (Some(before), Some(after)) => (after - before).abs() / before.abs().max(after.abs()).max(1.0),
            _ => f64::INFINITY,
        }
    }
}

/// What differs between the results of two runs, and what they cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultsDiff {
    /// Numbers that differ, the largest change first.
    pub metrics: Vec<MetricChange>,
    /// How many documents were compared.
    pub documents: usize,
    /// Outputs whose numbers cannot be compared, as their bytes are gone or damaged: `job.port`.
    pub unread: Vec<String>,
    /// Output files with other content, or in one run only: path → digests then and now.
    pub files: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Included files that changed, came or went.
    pub included: Vec<IncludedChange>,
    /// The runs.
    pub runs: Option<(RunCost, RunCost)>,
}

/// What a run cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// Id.
    pub id: String,
    /// Version of celldag.
    pub version: String,
    /// BLAKE3 of the pipeline file.
    pub pipeline_digest: Option<String>,
    /// Wall seconds of the run.
    pub seconds: f64,
    /// Jobs computed.
    pub ran: usize,
    /// Jobs taken from the store.
    pub cached: usize,
}

impl RunCost {
    fn of(header: &RunHeader) -> Self {
        Self {
            id: header.id.clone(),
            version: header.version.clone(),
            pipeline_digest: header.text_digest.clone(),
            seconds: header.seconds,
            ran: header.counts.ran,
            cached: header.counts.cached,
        }
    }
}

/// Compares the results of two runs. Documents are read from the store; bytes that are gone are named, not fetched anew.
#[must_use]
pub fn diff_results(store: &Store, first: &RunRecord, second: &RunRecord) -> ResultsDiff {
    let mut found = ResultsDiff {
        runs: Some((RunCost::of(&first.header), RunCost::of(&second.header))),
        files: files(first, second),
        included: included_changes(&first.header, &second.header),
        ..ResultsDiff::default()
    };
    let before: BTreeMap<&str, &JobRecord> = first.jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    for job in second.jobs.iter().filter(done) {
        let Some(old) = before.get(job.id.as_str()).filter(|old| done(old)) else { continue };
        let Some(action) = job.action() else { continue };
        for (port, artifact) in &job.outputs {
            let is_json = action.outputs.get(port).is_some_and(|output| output.file.ends_with(".json"));
            let Some(was) = old.outputs.get(port).filter(|was| is_json && was.digest != artifact.digest)
            else {
                continue;
            };
            match (document(store, old.key, was), document(store, job.key, artifact)) {
                (Some(Some(was)), Some(Some(is))) => {
                    found.documents += 1;
                    found.metrics.extend(numbers_that_differ(&job.id, port, &was, &is));
                }
                // Some other JSON: its digest says all that can be said.
                (Some(_), Some(_)) => {}
                _ => found.unread.push(format!("{}.{port}", job.id)),
            }
        }
    }
    found.metrics.sort_by(|a, b| {
        b.size().total_cmp(&a.size()).then_with(|| (&a.job, &a.path).cmp(&(&b.job, &b.path)))
    });
    found
}

fn done(job: &&JobRecord) -> bool {
    matches!(job.outcome, JobOutcome::Hit | JobOutcome::Ran)
}

/// `None` when the bytes cannot be had, `Some(None)` when they are no report document.
fn document(store: &Store, key: Option<Key>, artifact: &Artifact) -> Option<Option<Value>> {
    let bytes = fs_err::read(stored(store, key, artifact).ok()?).ok()?;
    let value: Option<Value> = serde_json::from_slice(&bytes).ok();
    Some(value.filter(|value| value["format"] == DOCUMENT_FORMAT))
}

fn numbers_that_differ(job: &str, port: &str, was: &Value, is: &Value) -> Vec<MetricChange> {
    let (before, after) = (numbers(was), numbers(is));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |path: &String| MetricChange {
        job: job.to_owned(),
        port: port.to_owned(),
        path: path.clone(),
        before: before.get(path).copied().flatten(),
        after: after.get(path).copied().flatten(),
    };
    paths.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

/// Numbers and undefined numbers of `metrics` and of the headline, by path.
fn numbers(document: &Value) -> BTreeMap<String, Option<f64>> {
    let mut found = BTreeMap::new();
    for pair in document["headline"].as_array().into_iter().flatten() {
        if let Some(name) = pair[0].as_str() {
            found.insert(format!("headline.{name}"), pair[1].as_f64());
        }
    }
    flatten("metrics", &document["metrics"], &mut found);
    found
}

fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, Option<f64>>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| flatten(&format!("{path}.{name}"), value, found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| flatten(&format!("{path}[{i}]"), value, found));
        }
        Value::Number(number) => {
            found.insert(path.to_owned(), number.as_f64());
        }
        Value::Null => {
            found.insert(path.to_owned(), None);
        }
        Value::Bool(_) | Value::String(_) => {}
    }
}

fn files(first: &RunRecord, second: &RunRecord) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let mut files: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for output in &first.outputs {
        files.entry(output.path.display().to_string()).or_default().0 =
            Some(output.artifact.digest.to_string());
    }
    for output in &second.outputs {
        files.entry(output.path.display().to_string()).or_default().1 =
            Some(output.artifact.digest.to_string());
    }
    files.retain(|_, (before, after)| before != after);
    files
}
