//! "Why did this run?": field by field, the action of a node then and now.

use celldag_cache::Store;
use serde::{Deserialize, Serialize};

use crate::change::{Change, compare};
use crate::check::suggest::nearest;
use crate::error::EngineError;
use crate::plan::{JobState, Plan, Reason};
use crate::record::{
    IncludedChange, InputRecord, JobOutcome, JobRecord, LastActions, Origin, RunHeader, RunRecord, before,
    included_changes, load,
};
use crate::short;

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
        notes.extend(last.into_iter().flat_map(|last| file_notes(&last.run, &record.header, &changes)));
        Why {
            job: job.id.clone(),
            state: job.state.clone(),
            outcome: Some(job.outcome),
            compared_with: last.map(|last| last.run.id.clone()),
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
            compared_with: before.map(|before| before.run.id.clone()),
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

/// What the files of the pipeline have to do with the changes: included files that are not what they were, or parameters that
/// changed although every file is the same.
fn file_notes(then: &RunHeader, now: &RunHeader, changes: &[Change]) -> Vec<String> {
    if changes.is_empty() {
        return Vec::new();
    }
    let included = included_changes(then, now);
    if !included.is_empty() {
        return included.iter().map(included_note).collect();
    }
    let params = changes.iter().any(|change| matches!(change, Change::Param { .. }));
    let same_file = then.text_digest.is_some() && then.text_digest == now.text_digest;
    if !params || !same_file {
        return Vec::new();
    }
    // Records of old versions do not say which files were included.
    let known = |run: &RunHeader| run.included.is_some();
    let perhaps = if known(then) && known(now) { "" } else { ", an included file" };
    vec![if then.version == now.version {
        format!(
            "the pipeline file is the same as then: `--set`, a profile{perhaps} or a table changed the parameter"
        )
    } else {
        format!(
            "the pipeline file is the same as then, celldag is not ({} → {}): a default changed, or `--set`, a \
             profile{perhaps} or a table",
            then.version, now.version
        )
    }]
}

fn included_note(change: &IncludedChange) -> String {
    let path = &change.path;
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            format!("the included file {path} changed (BLAKE3 {} → {})", short(before), short(after))
        }
        (None, _) => format!("the file {path} was not included then"),
        (_, None) => format!("the file {path} is not included any more"),
    }
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
