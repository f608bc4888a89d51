//! The walk of a plan: down the graph to see what runs, and up again to see whose bytes that needs.

use celldag_cache::Store;

use super::{
    Decision, Found, JobState, Plan, PlanOptions, PlannedJob, Reason, Resolution, Resolver, Selection,
    Setting, destination, guard, parents,
};
use crate::error::EngineError;
use crate::pipeline::{Pipeline, Source};

/// What is known about a job on the way.
struct Seen {
    planned: PlannedJob,
    found: Option<Box<Found>>,
}

pub(super) fn survey(pipeline: &Pipeline, store: &Store, options: &PlanOptions) -> Result<Plan, EngineError> {
    let store = &options.cancel.heard_by(store);
    let _in_use = store.use_shared()?;
    let selection = Selection::new(pipeline, &options.only, &options.force)?;
    guard(pipeline, &selection, options.out.as_deref())?;
    let mut setting = Setting::new(pipeline, options.identity.as_ref(), options.retry_failed)?;
    setting.cancel = options.cancel.clone();
    let resolver = Resolver::new(pipeline, store, setting);
    let mut seen: Vec<Option<Seen>> = (0..pipeline.jobs.len()).map(|_| None).collect();
    let mut problems = Vec::new();
    for index in selection.jobs() {
        let resolution = resolver.resolve(index);
        if options.cancel.is_cancelled() {
            return Err(EngineError::Interrupted);
        }
        match resolution {
            Err(found) => problems.extend(found),
            Ok(resolution) => {
                let forced = selection.forced[index];
                let mut one = look(&resolver, &selection, options, index, resolution, forced)?;
                if let Some(above) = failed_above(pipeline, &seen, index) {
                    one.planned.state = JobState::Fails { because: format!("{above} fails") };
                }
                // A job that is computed leaves no result here, so everything below it waits.
                if let (JobState::Cached { .. }, Some(found)) = (&one.planned.state, &one.found) {
                    resolver.results.set(index, found.done.clone().into());
                }
                seen[index] = Some(one);
            }
        }
    }
    if !problems.is_empty() {
        return Err(EngineError::Inputs(problems));
    }
    demand(pipeline, &mut seen);
    // What was hashed meanwhile for outputs in place was then given up, which reads as if they were not there.
    if options.cancel.is_cancelled() {
        return Err(EngineError::Interrupted);
    }
    let jobs = seen.into_iter().flatten().map(|one| one.planned).collect();
    Ok(Plan { pipeline: pipeline.name.clone(), jobs })
}

fn look(
    resolver: &Resolver<'_>,
    selection: &Selection,
    options: &PlanOptions,
    index: usize,
    resolution: Resolution,
    forced: bool,
) -> Result<Seen, EngineError> {
    let job = &resolver.pipeline.jobs[index];
    let (mut key, mut action, mut found) = (None, None, None);
    let state = match resolution {
        Resolution::Waiting { .. } if forced => JobState::Runs { reasons: vec![Reason::Forced] },
        Resolution::Waiting { inputs, reasons } => JobState::MayRun { inputs, reasons },
        Resolution::Ready(resolved) => {
            let state = match resolver.decide(index, &resolved, forced)? {
                Decision::Run(reasons) => JobState::Runs { reasons },
                Decision::Failed(failure) => JobState::failed_before(&failure.message),
                Decision::Found(result) => {
                    let state = match lacking(resolver, selection, options, index, &result) {
                        Some(reason) => JobState::Runs { reasons: vec![reason] },
                        None => result.state(),
                    };
                    found = Some(Box::new(result));
                    state
                }
            };
            key = Some(resolved.key);
            action = Some(Box::new(resolved.action));
            state
        }
    };
    let planned = PlannedJob {
        index,
        id: job.id.clone(),
        node: job.node.clone(),
        kind: job.kind.spec.name.to_owned(),
        state,
        key,
        action,
    };
    Ok(Seen { planned, found })
}

/// A job above that will not run, so that this one cannot.
fn failed_above(pipeline: &Pipeline, seen: &[Option<Seen>], index: usize) -> Option<String> {
    let fails = |above: &usize| {
        let state = seen[*above].as_ref().map(|one| &one.planned.state);
        matches!(state, Some(JobState::Fails { .. }))
    };
    parents(pipeline, index).find(fails).map(|above| pipeline.jobs[above].id.clone())
}

/// Why a known result has to be computed again for its own sake: it is asked for and its bytes are not there.
fn lacking(
    resolver: &Resolver<'_>,
    selection: &Selection,
    options: &PlanOptions,
    index: usize,
    found: &Found,
) -> Option<Reason> {
    if found.absent.is_empty() {
        return None;
    }
    if selection.is_result(resolver.pipeline, index) {
        return found.absence(&[]);
    }
    for &number in &selection.outputs[index] {
        let output = &resolver.pipeline.outputs[number];
        let path = destination(resolver.pipeline, options.out.as_deref(), output);
        let wanted = found.done.artifacts.get(&output.port)?;
        if let Some(absence) = found.absence(&[&output.port])
            && resolver.sources.in_place(&path, wanted) != Some(true)
        {
            return Some(absence.wanted_by(&output.port, &path.display().to_string()));
        }
    }
    None
}

/// Jobs that run need bytes; results without bytes run for them. Backwards, since those need bytes in turn.
fn demand(pipeline: &Pipeline, seen: &mut [Option<Seen>]) {
    for index in (0..seen.len()).rev() {
        let Some(state) = seen[index].as_ref().map(|one| one.planned.state.clone()) else { continue };
        if matches!(state, JobState::Cached { .. } | JobState::Fails { .. }) {
            continue;
        }
        let by = pipeline.jobs[index].id.clone();
        for input in &pipeline.jobs[index].inputs {
            let Source::Job { job: above, port } = &input.source else { continue };
            let Some(producer) = &mut seen[*above] else { continue };
            let absence = producer.found.as_ref().and_then(|found| found.absence(&[port]));
            let (true, Some(absence)) = (producer.planned.state.is_cached(), absence) else { continue };
            let reason = absence.wanted_by(port, &by);
            producer.planned.state = match state {
                JobState::MayRun { .. } => JobState::MayRun { inputs: Vec::new(), reasons: vec![reason] },
                _ => JobState::Runs { reasons: vec![reason] },
            };
        }
    }
}
