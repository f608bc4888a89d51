//! The action that each job had when it was last recorded: what plan reasons compare with.

use std::collections::BTreeMap;

use celldag_cache::Store;

use super::load::{ids, read_header, read_jobs};
use super::{JobOutcome, JobRecord};
use crate::action::Action;
use crate::error::EngineError;

/// How many runs of a pipeline are looked at. Runs with `--only` or with failures hold some jobs only, so one is not
/// enough; a job that none of these knows is as good as new.
const LOOK_BACK: usize = 12;

/// Job id → what was last recorded about it.
#[derive(Debug, Default)]
pub(crate) struct LastActions {
    jobs: BTreeMap<String, Last>,
}

/// What was last recorded about a job.
#[derive(Debug)]
pub(crate) struct Last {
    /// Its action.
    pub(crate) action: Action,
    /// The run that recorded it.
    pub(crate) run: String,
    /// First line of the failure, if it failed.
    pub(crate) failure: Option<String>,
}

impl LastActions {
    /// Reads the newest runs of the pipeline called `name` until `jobs` jobs are known.
    pub(crate) fn load(store: &Store, name: &str, jobs: usize) -> Result<Self, EngineError> {
        Self::read(store, name, None, jobs)
    }

    fn read(store: &Store, name: &str, before: Option<&str>, jobs: usize) -> Result<Self, EngineError> {
        let runs = store.runs_dir();
        let mut found = Self::default();
        let mut looked = 0;
        // Ids sort by time.
        for id in ids(&runs)?.into_iter().filter(|id| before.is_none_or(|before| id.as_str() < before)) {
            if looked == LOOK_BACK || found.jobs.len() >= jobs {
                break;
            }
            let folder = runs.join(&id);
            // A damaged record must not stop a plan: it only costs reasons.
            if read_header(&folder).is_ok_and(|header| header.pipeline == name) {
                looked += 1;
                for job in read_jobs(&folder).map(|(jobs, _)| jobs).unwrap_or_default() {
                    found.insert(&id, &job);
                }
            }
        }
        Ok(found)
    }

    fn insert(&mut self, run: &str, job: &JobRecord) {
        if self.jobs.contains_key(&job.id) {
            return;
        }
        if let Some(action) = job.action() {
            let failure = match (&job.outcome, &job.failure) {
                (JobOutcome::Failed, Some(f)) => f.message.lines().next().map(str::to_owned),
                _ => None,
            };
            self.jobs.insert(job.id.clone(), Last { action, run: run.to_owned(), failure });
        }
    }

    /// What was last recorded about a job.
    pub(crate) fn get(&self, job: &str) -> Option<&Last> {
        self.jobs.get(job)
    }
}

/// What was last recorded about the jobs of a pipeline before the run `id`.
pub(crate) fn before(store: &Store, name: &str, id: &str) -> Result<LastActions, EngineError> {
    LastActions::read(store, name, Some(id), usize::MAX)
}
