//! What would run, and why: every job is looked up, nothing is computed, and nothing but digests of files is written.
//!
//! [`plan()`] and [`crate::run()`] resolve actions and look results up through the same `Resolver`, so that a
//! plan cannot say something that the run does not do.

#[cfg(test)]
mod agreement;
mod failed;
mod guard;
mod reason;
mod resolve;
mod select;
mod sources;
mod state;
mod survey;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use celldag_cache::{Key, Store};
use serde::{Deserialize, Serialize};

use crate::action::{Action, DeviceIdentity};
use crate::error::EngineError;
use crate::pipeline::Pipeline;
use crate::step::Cancel;

pub(crate) use failed::{again, failed_before, remember};
pub(crate) use guard::guard;
pub use reason::Reason;
pub(crate) use reason::reasons_of_change;
pub(crate) use resolve::{Decision, Done, Found, Resolution, Resolved, Resolver, Setting};
pub(crate) use select::{Selection, destination, parents};
pub(crate) use sources::Sources;
pub use state::{JobState, ago, duration};

/// What to plan.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Nodes or jobs; they and what they need. Empty for everything.
    pub only: Vec<String>,
    /// Nodes or jobs to compute again.
    pub force: Vec<String>,
    /// What failed before in a way that lasts is tried again.
    pub retry_failed: bool,
    /// Folder that relative output paths start at; the pipeline's own when absent.
    pub out: Option<PathBuf>,
    /// The device, needed under `numerics: strict`.
    pub identity: Option<DeviceIdentity>,
    /// Stops it, also while it hashes a large file.
    pub cancel: Cancel,
}

/// What would happen to one job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedJob {
    /// Index into [`Pipeline::jobs`].
    pub index: usize,
    /// Job id.
    pub id: String,
    /// Node.
    pub node: String,
    /// Kind.
    pub kind: String,
    /// What would happen.
    pub state: JobState,
    /// Key, when all inputs are known.
    pub key: Option<Key>,
    /// Action, when all inputs are known.
    pub action: Option<Box<Action>>,
}

/// What would happen to the jobs of a pipeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the pipeline.
    pub pipeline: String,
    /// The jobs asked for, in topological order.
    pub jobs: Vec<PlannedJob>,
}

impl Plan {
    /// The job with this id.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<&PlannedJob> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// Whether a run would compute nothing.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.jobs.iter().all(|job| job.state.is_cached())
    }

    /// Number of jobs that are cached, run, and may run.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.jobs.iter().fold((0, 0, 0), |(cached, runs, may), job| match job.state {
            JobState::Cached { .. } => (cached + 1, runs, may),
            JobState::Runs { .. } => (cached, runs + 1, may),
            JobState::MayRun { .. } => (cached, runs, may + 1),
            JobState::Fails { .. } => (cached, runs, may),
        })
    }
}

/// Says for every job whether it is cached, runs or may run, and why.
///
/// # Errors
/// When `only` or `force` names nothing, files that the pipeline reads are missing ([`EngineError::Inputs`], all of
/// them), an output would overwrite what is read ([`EngineError::Overwrites`]), it was stopped ([`EngineError::Interrupted`]),
/// or the store cannot be read.
pub fn plan(pipeline: &Pipeline, store: &Store, options: &PlanOptions) -> Result<Plan, EngineError> {
    survey::survey(pipeline, store, options)
}
