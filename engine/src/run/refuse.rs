//! Jobs that ask for more than there is are refused before anything runs, and not found out about after hours.

use celldag_cache::Store;

use super::RunOptions;
use super::capacity::Capacity;
use crate::error::{EngineError, Shortage};
use crate::pipeline::{Job, Pipeline};
use crate::plan::{JobState, PlanOptions, Selection, plan};
use crate::step::Cancel;

/// Refuses the run when a job that is not cached asks for more than the machine has.
pub(crate) fn refuse(
    pipeline: &Pipeline,
    store: &Store,
    options: &RunOptions,
    selection: &Selection,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let asks = |job: &Job| {
        let wanted = &job.resources;
        options.ram.is_some() && wanted.ram.is_some()
            || job.uses_device && (wanted.gpus > 1 || wanted.gpu_memory.is_some())
    };
    let wanted: Vec<usize> = selection.jobs().filter(|&index| asks(&pipeline.jobs[index])).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut capacity = Capacity { slots: 1, threads: 1, ram: options.ram, gpus: Vec::new() };
    let counts_gpus = |index: &usize| {
        let job = &pipeline.jobs[*index];
        job.uses_device && (job.resources.gpus > 1 || job.resources.gpu_memory.is_some())
    };
    // GPUs that cannot be asked for are an error of the jobs that need one, if any does.
    if wanted.iter().any(counts_gpus)
        && let Ok(gpus) = options.gpus.get()
    {
        capacity.gpus = gpus.to_vec();
    }
    let too_large = |index: usize| capacity.refusal(&pipeline.jobs[index]).map(|refusal| (index, refusal));
    let mut found: Vec<_> = wanted.into_iter().filter_map(too_large).collect();
    if !found.is_empty() {
        // A result that is there already needs nothing of the machine.
        let asked = PlanOptions {
            only: options.only.clone(),
            force: options.force.clone(),
            retry_failed: options.retry_failed,
            out: options.out.clone(),
            identity: options.identity.clone(),
            cancel: cancel.clone(),
        };
        let plan = plan(pipeline, store, &asked)?;
        let runs = |index: usize| {
            let planned = plan.jobs.iter().find(|job| job.index == index);
            planned.is_some_and(|job| matches!(job.state, JobState::Runs { .. } | JobState::MayRun { .. }))
        };
        found.retain(|(index, _)| runs(*index));
    }
    if found.is_empty() {
        return Ok(());
    }
    let problem = |(index, refusal): (usize, super::capacity::Refusal)| Shortage {
        job: pipeline.jobs[index].id.clone(),
        why: refusal.why,
        help: refusal.help.to_owned(),
    };
    Err(EngineError::Resources(found.into_iter().map(problem).collect()))
}
