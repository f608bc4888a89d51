//! What differs between two runs, job by job: actions, results, facts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JobOutcome, JobRecord, RunRecord};
use crate::change::{Change, compare};

/// One job that is not the same in both runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub enum JobDiff {
    /// Only the second run has the job.
    Added {
        /// Job id.
        job: String,
    },
    /// Only the first run has the job.
    Removed {
        /// Job id.
        job: String,
    },
    /// Both have it, and something differs.
    Changed {
        /// Job id.
        job: String,
        /// How it ended in each, if differently (a hit and a run of one result count as the same end).
        outcomes: Option<(JobOutcome, JobOutcome)>,
        /// Differences of the actions.
        changes: Vec<Change>,
        /// Output ports with other content.
        outputs: Vec<String>,
        /// Facts that differ: name → (first, second).
        facts: BTreeMap<String, (Option<Value>, Option<Value>)>,
    },
}

/// Everything that differs between two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunDiff {
    /// Jobs that differ: those of the second run in its order, then those that it lacks.
    pub jobs: Vec<JobDiff>,
    /// Number of jobs that agree in everything.
    pub same: usize,
}

/// Compares two runs, usually of one pipeline.
#[must_use]
pub fn diff(first: &RunRecord, second: &RunRecord) -> RunDiff {
    let before: BTreeMap<&str, &JobRecord> = first.jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    let after: BTreeSet<&str> = second.jobs.iter().map(|job| job.id.as_str()).collect();
    let mut result = RunDiff::default();
    for job in &second.jobs {
        match before.get(job.id.as_str()) {
            None => result.jobs.push(JobDiff::Added { job: job.id.clone() }),
            Some(old) => match diff_job(old, job) {
                None => result.same += 1,
                Some(difference) => result.jobs.push(difference),
            },
        }
    }
    let gone = first.jobs.iter().filter(|job| !after.contains(job.id.as_str()));
    result.jobs.extend(gone.map(|job| JobDiff::Removed { job: job.id.clone() }));
    result
}

fn diff_job(old: &JobRecord, new: &JobRecord) -> Option<JobDiff> {
    let done = |outcome: JobOutcome| matches!(outcome, JobOutcome::Hit | JobOutcome::Ran);
    let same_end = old.outcome == new.outcome || (done(old.outcome) && done(new.outcome));
    let outcomes = (!same_end).then_some((old.outcome, new.outcome));
    let changes = match (old.action(), new.action()) {
        (Some(old), Some(new)) => compare(&old, &new),
        _ => Vec::new(),
    };
    let mut outputs = Vec::new();
    let mut facts = BTreeMap::new();
    if done(old.outcome) && done(new.outcome) {
        let ports: BTreeSet<&String> = old.outputs.keys().chain(new.outputs.keys()).collect();
        let digest = |job: &JobRecord, port: &str| job.outputs.get(port).map(|artifact| artifact.digest);
        outputs = ports.into_iter().filter(|port| digest(old, port) != digest(new, port)).cloned().collect();
        let names: BTreeSet<&String> = old.summary.facts.keys().chain(new.summary.facts.keys()).collect();
        for name in names {
            let (old, new) = (old.summary.facts.get(name), new.summary.facts.get(name));
            if old != new {
                facts.insert(name.clone(), (old.cloned(), new.cloned()));
            }
        }
    }
    if outcomes.is_none() && changes.is_empty() && outputs.is_empty() && facts.is_empty() {
        return None;
    }
    Some(JobDiff::Changed { job: new.id.clone(), outcomes, changes, outputs, facts })
}
