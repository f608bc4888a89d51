//! "Why did this run?": field by field, the action of a node then and now.

use celldag_cache::Store;
use serde::{Deserialize, Serialize};

use crate::change::{Change, compare};
use crate::check::suggest::nearest;
use crate::error::EngineError;
use crate::plan::{JobState, Plan};
use crate::record::{JobOutcome, JobRecord, LastActions, Origin, RunRecord, before, load};

/// Why one job stands as it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Job id.
    pub job: String,
    /// What was or would be decided about it.
    pub state: Option<JobState>,
    /// How it ended; absent for a plan.
    pub outcome: Option<JobOutcome>,
    /// The run that it is compared with; absent when the job was never recorded before.
    pub compared_with: Option<String>,
    /// Differences of the actions.
    pub changes: Vec<Change>,
}

/// Explains the jobs of a recorded run that `name` (a job or a node) means, by comparing each with the last record
/// before it. `run` is an id, the beginning of one, or `last`.
///
/// # Errors
/// When there is no such run, or no such job in it.
pub fn why(store: &Store, name: &str, run: &str) -> Result<Vec<Why>, EngineError> {
    let record = load(store, run)?;
    let jobs = named(&record, name)?;
    let earlier = before(store, &Origin::of_run(&record), record.id())?;
    let explain = |job: &JobRecord| {
        let last = earlier.get(&job.id);
        let changes = match (last, job.action()) {
            (Some(last), Some(now)) => compare(&last.action, &now),
            _ => Vec::new(),
        };
        Why {
            job: job.id.clone(),
            state: job.state.clone(),
            outcome: Some(job.outcome),
            compared_with: last.map(|last| last.run.clone()),
            changes,
        }
    };
    Ok(jobs.into_iter().map(explain).collect())
}

/// Explains the jobs of a plan that `name` means, by comparing each with its last record.
///
/// # Errors
/// When the plan has no such job, or earlier runs cannot be read.
pub fn why_planned(store: &Store, plan: &Plan, name: &str) -> Result<Vec<Why>, EngineError> {
    let last = LastActions::load(store, &Origin::named(&plan.pipeline), plan.jobs.len())?;
    let mut found = Vec::new();
    for job in plan.jobs.iter().filter(|job| job.id == name || job.node == name) {
        let before = last.get(&job.id);
        let changes = match (before, &job.action) {
            (Some(before), Some(now)) => compare(&before.action, now),
            _ => Vec::new(),
        };
        found.push(Why {
            job: job.id.clone(),
            state: Some(job.state.clone()),
            outcome: None,
            compared_with: before.map(|before| before.run.clone()),
            changes,
        });
    }
    if found.is_empty() {
        let nearest = nearest(name, plan.jobs.iter().map(|job| job.node.as_str())).map(str::to_owned);
        return Err(EngineError::UnknownNode { name: name.to_owned(), nearest });
    }
    Ok(found)
}

fn named<'r>(record: &'r RunRecord, name: &str) -> Result<Vec<&'r JobRecord>, EngineError> {
    let jobs: Vec<&JobRecord> = record.jobs.iter().filter(|job| job.id == name || job.node == name).collect();
    if jobs.is_empty() {
        return Err(EngineError::NoJob {
            run: record.id().to_owned(),
            name: name.to_owned(),
            nearest: nearest(name, record.jobs.iter().map(|job| job.node.as_str())).map(str::to_owned),
        });
    }
    Ok(jobs)
}
