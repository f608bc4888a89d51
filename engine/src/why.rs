//! "Why did this run?": field by field, the action of a node then and now.

use celldag_cache::Store;
use serde::{Deserialize, Serialize};

use crate::change::{Change, compare};
use crate::check::suggest::nearest;
use crate::error::EngineError;
use crate::plan::{JobState, Plan, Reason};
use crate::record::{InputRecord, JobOutcome, JobRecord, Last, LastActions, Origin, RunRecord, before, load};

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
    /// Where the inputs that changed come from now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<InputRecord>,
    /// What else there is to know, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
        let sources = sources(&changes, &job.inputs);
        let mut notes: Vec<String> = job.state.iter().flat_map(remedies).collect();
        notes.extend(last.and_then(|last| default_changed(last, &record, &changes)));
        Why {
            job: job.id.clone(),
            state: job.state.clone(),
            outcome: Some(job.outcome),
            compared_with: last.map(|last| last.run.clone()),
            changes,
            sources,
            notes,
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
            sources: Vec::new(),
            notes: remedies(&job.state),
        });
    }
    if found.is_empty() {
        let nearest = nearest(name, plan.jobs.iter().map(|job| job.node.as_str())).map(str::to_owned);
        return Err(EngineError::UnknownNode { name: name.to_owned(), nearest });
    }
    Ok(found)
}

/// The inputs among the changes, with where they come from.
fn sources(changes: &[Change], inputs: &[InputRecord]) -> Vec<InputRecord> {
    let changed = |input: &&InputRecord| {
        let is_it = |change: &Change| matches!(change, Change::Input { port, label, .. } if *port == input.port && *label == input.label);
        changes.iter().any(is_it)
    };
    inputs.iter().filter(changed).cloned().collect()
}

/// What a reason means for the user, where its own words do not say so.
fn remedies(state: &JobState) -> Vec<String> {
    let (JobState::Runs { reasons } | JobState::MayRun { reasons, .. }) = state else { return Vec::new() };
    let told = |reason: &Reason| {
        Some(match reason {
            Reason::New => {
                "no earlier run of this pipeline has a job of this name, and the store has no such result"
            }
            Reason::Forced => "`--force` computes a job again although the store has its result",
            Reason::Removed => {
                "garbage collection or somebody else removed the result; `celldag cache gc --max-age` keeps more"
            }
            Reason::Damaged { .. } => {
                "damaged bytes are moved to quarantine; `celldag cache verify` looks for more"
            }
            Reason::BytesNeeded { .. } => {
                "its bytes went when nothing needed them any more (`keep: temp`, or garbage collection), the rest was known"
            }
            Reason::FailedBefore { .. } => "failures are not results: a job that failed is tried again",
            Reason::Changed { .. } | Reason::ManyInputs { .. } => return None,
        })
    };
    reasons.iter().filter_map(told).map(str::to_owned).collect()
}

/// Parameters that changed although the pipeline file is the same as then.
fn default_changed(last: &Last, record: &RunRecord, changes: &[Change]) -> Option<String> {
    let params = changes.iter().any(|change| matches!(change, Change::Param { .. }));
    let same_file = last.text_digest.is_some() && last.text_digest == record.header.text_digest;
    if !params || !same_file {
        return None;
    }
    let now = &record.header.version;
    Some(if last.version == *now {
        "the pipeline file is the same as then: `--set`, a profile or a table changed the parameter"
            .to_owned()
    } else {
        format!(
            "the pipeline file is the same as then, celldag is not ({} → {now}): a default changed, or `--set`, a profile \
             or a table",
            last.version
        )
    })
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
