//! The order of jobs where nodes refer to each other: with `{by: axis, ...}` one value of the axis may go one way and another
//! value the other way, which is no cycle.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::pipeline::{Job, JobOutput, Source};
use crate::spec::Span;

/// Puts producers before consumers, otherwise as they were. Jobs that wait for each other are a finding at `place`.
pub(crate) fn sort(
    jobs: Vec<Job>,
    outputs: &mut [JobOutput],
    place: &Span,
    out: &mut Vec<Diagnostic>,
) -> Vec<Job> {
    let mut waiting: Vec<usize> = jobs.iter().map(|job| producers(job).count()).collect();
    let mut consumers: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    for (index, job) in jobs.iter().enumerate() {
        producers(job).for_each(|producer| consumers[producer].push(index));
    }
    let mut ready: BTreeSet<usize> = (0..jobs.len()).filter(|job| waiting[*job] == 0).collect();
    let mut order = Vec::with_capacity(jobs.len());
    while let Some(job) = ready.pop_first() {
        order.push(job);
        for consumer in &consumers[job] {
            waiting[*consumer] -= 1;
            if waiting[*consumer] == 0 {
                ready.insert(*consumer);
            }
        }
    }
    if order.len() < jobs.len() {
        let path = cycle(&jobs, &waiting);
        out.push(
            Diagnostic::error("celldag::pipeline::cycle", format!("jobs wait for each other: {path}"))
                .at(place.clone(), "this choice closes the cycle")
                .help("let one of the choices take something else for these values"),
        );
        return jobs;
    }
    let mut place_of = vec![0; jobs.len()];
    for (new, old) in order.iter().enumerate() {
        place_of[*old] = new;
    }
    for output in outputs {
        output.job = place_of[output.job];
    }
    let mut sorted: Vec<(usize, Job)> =
        jobs.into_iter().enumerate().map(|(old, job)| (place_of[old], job)).collect();
    sorted.sort_by_key(|(new, _)| *new);
    let mut jobs: Vec<Job> = sorted.into_iter().map(|(_, job)| job).collect();
    for input in jobs.iter_mut().flat_map(|job| &mut job.inputs) {
        if let Source::Job { job, .. } = &mut input.source {
            *job = place_of[*job];
        }
    }
    jobs
}

fn producers(job: &Job) -> impl Iterator<Item = usize> + '_ {
    job.inputs.iter().filter_map(|input| match input.source {
        Source::Job { job, .. } => Some(job),
        Source::Path(_) => None,
    })
}

/// `a[s=x] -> b[s=x] -> a[s=x]`: from a job that waits, back along what it waits for until a job comes again.
fn cycle(jobs: &[Job], waiting: &[usize]) -> String {
    let mut path: Vec<usize> = waiting.iter().position(|count| *count > 0).into_iter().collect();
    while let Some(next) =
        path.last().and_then(|last| producers(&jobs[*last]).find(|producer| waiting[*producer] > 0))
    {
        if let Some(first) = path.iter().position(|job| *job == next) {
            path.drain(..first);
            path.push(next);
            break;
        }
        path.push(next);
    }
    path.reverse();
    path.iter().map(|job| jobs[*job].id.as_str()).collect::<Vec<_>>().join(" -> ")
}
