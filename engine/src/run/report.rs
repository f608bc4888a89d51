//! From where every job ended to the record of the run.

use celldag_cache::Key;
use serde_json::value::RawValue;

use super::Context;
use super::job::JobStatus;
use crate::error::ExitClass;
use crate::events::Counts;
use crate::pipeline::{Job, Pipeline};
use crate::plan::Selection;
use crate::record::{JobOutcome, JobRecord, OutputRecord, RecordedFailure, RunStatus, input_records};
use crate::step::Cancel;

/// The ends of all jobs, added up.
pub(crate) struct Report {
    pub(crate) jobs: Vec<JobRecord>,
    pub(crate) outputs: Vec<OutputRecord>,
    pub(crate) counts: Counts,
    pub(crate) saved_seconds: f64,
    pub(crate) exit: ExitClass,
    pub(crate) status: RunStatus,
}

/// Adds up.
pub(crate) fn report(ctx: &Context<'_>, mut states: Vec<JobStatus>, cancel: &Cancel) -> Report {
    let pipeline = ctx.resolver.pipeline;
    let mut report = Report {
        jobs: Vec::new(),
        outputs: Vec::new(),
        counts: Counts::default(),
        saved_seconds: 0.0,
        exit: ExitClass::Ok,
        status: RunStatus::Ok,
    };
    let mut unfinished = false;
    for index in ctx.selection.jobs() {
        let mut status = std::mem::take(&mut states[index]);
        report.outputs.append(&mut status.outputs);
        unfinished |= status.stopped;
        let job = record(pipeline, &pipeline.jobs[index], status);
        report.counts.jobs += 1;
        match job.outcome {
            JobOutcome::Hit => {
                report.counts.cached += 1;
                report.saved_seconds += job.seconds;
            }
            JobOutcome::Ran => report.counts.ran += 1,
            JobOutcome::Failed => report.counts.failed += 1,
            JobOutcome::Skipped => report.counts.skipped += 1,
        }
        if let Some(failure) = &job.failure {
            report.exit = report.exit.worst(failure.class);
        }
        report.jobs.push(job);
    }
    // An interrupt that came when everything was done has interrupted nothing.
    if cancel.is_cancelled() && (report.counts.skipped > 0 || unfinished) {
        report.exit = report.exit.worst(ExitClass::Interrupted);
    } else if report.exit == ExitClass::Ok && report.counts.skipped > 0 {
        report.exit = ExitClass::Failed;
    }
    report.status = match report.exit {
        ExitClass::Ok => RunStatus::Ok,
        ExitClass::Interrupted => RunStatus::Cancelled,
        _ => RunStatus::Failed,
    };
    report
}

fn record(pipeline: &Pipeline, job: &Job, status: JobStatus) -> JobRecord {
    let (key, action): (Option<Key>, Option<Box<RawValue>>) = match status.action {
        Some((key, text)) => (Some(key), RawValue::from_string(text).ok()),
        None => (None, None),
    };
    let outcome = status.outcome.unwrap_or(JobOutcome::Skipped);
    // A job that failed while it was computed again has no result to show, even if it had one before.
    let done = status.done.filter(|_| matches!(outcome, JobOutcome::Hit | JobOutcome::Ran));
    let (seconds, outputs, summary) = match done {
        Some(done) => (done.seconds, done.artifacts.clone(), done.summary.clone()),
        None => Default::default(),
    };
    JobRecord {
        id: job.id.clone(),
        node: job.node.clone(),
        coordinates: (*job.coordinates).clone(),
        kind: job.kind.spec.name.to_owned(),
        outcome,
        state: status.state,
        key,
        action,
        seconds,
        inputs: input_records(pipeline, job),
        outputs,
        summary,
        remarks: status.remarks,
        failure: status.failure.map(|error| RecordedFailure {
            class: error.cause.into(),
            message: error.message,
            help: error.help,
        }),
        because: status.because,
    }
}

/// Node and number of its jobs, in topological order.
pub(crate) fn nodes(pipeline: &Pipeline, selection: &Selection) -> Vec<(String, usize)> {
    let mut nodes: indexmap::IndexMap<&str, usize> = indexmap::IndexMap::new();
    for index in selection.jobs() {
        *nodes.entry(pipeline.jobs[index].node.as_str()).or_default() += 1;
    }
    nodes.into_iter().map(|(node, jobs)| (node.to_owned(), jobs)).collect()
}
