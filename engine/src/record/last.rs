//! The action that each job had when it was last recorded: what plan reasons compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use celldag_cache::Store;

use super::load::{ids, read_header, read_jobs};
use super::{JobOutcome, JobRecord, OutputRecord, RunHeader, RunRecord};
use crate::action::Action;
use crate::error::EngineError;
use crate::pipeline::Pipeline;
use crate::plan::destination;

/// How many runs of a pipeline are looked at. Runs with `--only` or with failures hold some jobs only, so one is not
/// enough; a job that none of these knows is as good as new.
const LOOK_BACK: usize = 12;

/// Whose earlier runs count as earlier runs of the same thing.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Name of the pipeline; for a single step the name of its kind.
    name: String,
    /// Where a single step writes. Two calls of one kind have nothing in common but, perhaps, this.
    step: Option<BTreeSet<PathBuf>>,
}

impl Origin {
    /// The pipeline of this name.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), step: None }
    }

    /// This pipeline or single step.
    pub(crate) fn of_pipeline(pipeline: &Pipeline) -> Self {
        let outputs = || pipeline.outputs.iter().map(|output| destination(pipeline, None, output)).collect();
        let single = pipeline.file.as_os_str().is_empty();
        Self { name: pipeline.name.clone(), step: single.then(outputs) }
    }

    /// What this run ran.
    pub(crate) fn of_run(record: &RunRecord) -> Self {
        let single = record.header.file.as_os_str().is_empty();
        Self { name: record.header.pipeline.clone(), step: single.then(|| places(&record.outputs)) }
    }

    fn wrote(&self, header: &RunHeader) -> bool {
        header.pipeline == self.name && header.file.as_os_str().is_empty() == self.step.is_some()
    }
}

fn places(outputs: &[OutputRecord]) -> BTreeSet<PathBuf> {
    outputs.iter().map(|output| output.path.clone()).collect()
}

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
    pub(crate) run: Arc<RunHeader>,
    /// First line of the failure, if it failed.
    pub(crate) failure: Option<String>,
}

impl LastActions {
    /// Reads the newest runs of the same pipeline or step until `jobs` jobs are known.
    pub(crate) fn load(store: &Store, origin: &Origin, jobs: usize) -> Result<Self, EngineError> {
        Self::read(store, origin, None, jobs)
    }

    fn read(store: &Store, origin: &Origin, before: Option<&str>, jobs: usize) -> Result<Self, EngineError> {
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
            if let Some(header) = read_header(&folder).ok().filter(|header| origin.wrote(header)) {
                let (recorded, outputs) = read_jobs(&folder).unwrap_or_default();
                if origin.step.as_ref().is_some_and(|step| *step != places(&outputs)) {
                    continue;
                }
                looked += 1;
                let header = Arc::new(header);
                for job in recorded {
                    found.insert(&header, &job);
                }
            }
        }
        Ok(found)
    }

    fn insert(&mut self, run: &Arc<RunHeader>, job: &JobRecord) {
        if self.jobs.contains_key(&job.id) {
            return;
        }
        if let Some(action) = job.action() {
            let failure = match (&job.outcome, &job.failure) {
                (JobOutcome::Failed, Some(f)) => f.message.lines().next().map(str::to_owned),
                _ => None,
            };
            let last = Last { action, run: Arc::clone(run), failure };
            self.jobs.insert(job.id.clone(), last);
        }
    }

    /// What was last recorded about a job.
    pub(crate) fn get(&self, job: &str) -> Option<&Last> {
        self.jobs.get(job)
    }
}

/// What was last recorded about the jobs of a pipeline or step before the run `id`.
pub(crate) fn before(store: &Store, origin: &Origin, id: &str) -> Result<LastActions, EngineError> {
    LastActions::read(store, origin, Some(id), usize::MAX)
}
