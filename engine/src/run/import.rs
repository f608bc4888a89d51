//! What steps of a workflow manager have computed, as a run: the same look-ups and the same record as in a run in which
//! everything is cached, with the times of the results instead of those of the look-ups.

use celldag_cache::Store;
use jiff::{SignedDuration, Timestamp};

use super::RunOptions;
use crate::error::{EngineError, Uncomputed};
use crate::pipeline::Pipeline;
use crate::plan::{JobState, PlanOptions, PlannedJob, plan};
use crate::record::{Imported, JobRecord, RunHeader, now, time};
use crate::step::Cancel;

/// Refuses when the store lacks a result: half a run would be a record of something that never was.
pub(super) fn refuse_missing(
    pipeline: &Pipeline,
    store: &Store,
    options: &RunOptions,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let asked =
        PlanOptions { identity: options.identity.clone(), cancel: cancel.clone(), ..PlanOptions::default() };
    let plan = plan(pipeline, store, &asked)?;
    let missing = |job: &PlannedJob| {
        let missing = !job.state.is_cached();
        missing.then(|| Uncomputed { job: job.id.clone(), why: job.state.to_string() })
    };
    let missing: Vec<Uncomputed> = plan.jobs.iter().filter_map(missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(EngineError::Uncomputed { jobs: plan.jobs.len(), missing })
}

/// When the work was done, by the results: the first began when it was published, less the time that it took.
pub(super) fn times(header: &mut RunHeader, jobs: &[JobRecord], by: Option<&String>) {
    header.imported = Some(Imported { by: by.cloned(), at: now() });
    let here = Timestamp::now();
    let before = |seconds: f64| here - SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    let cached = jobs.iter().filter_map(|job| match job.state {
        Some(JobState::Cached { age, .. }) => Some((age + job.seconds, age)),
        _ => None,
    });
    let Some((began, ended)) = cached.reduce(|all, one| (all.0.max(one.0), all.1.min(one.1))) else { return };
    header.started = time(before(began));
    header.finished = Some(time(before(ended)));
    header.seconds = began - ended;
    // Nothing was saved: whoever computed the results has waited for them.
    header.saved_seconds = 0.0;
}
