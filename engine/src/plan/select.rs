//! Which jobs are asked for (`--only`, `--force`), and where outputs go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::check::suggest::nearest;
use crate::error::EngineError;
use crate::pipeline::{JobOutput, Pipeline, Source};

/// The jobs asked for, and the graph between them.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// Whether a job is asked for.
    pub(crate) wanted: Vec<bool>,
    /// Jobs to compute even if their results are there.
    pub(crate) forced: Vec<bool>,
    /// Job → jobs asked for that read one of its outputs, ascending, once each.
    pub(crate) consumers: Vec<Vec<usize>>,
    /// Job → outputs of the pipeline that it makes (indices), for jobs asked for.
    pub(crate) outputs: Vec<Vec<usize>>,
}

impl Selection {
    /// Reads `--only` and `--force`; names are nodes or jobs.
    pub(crate) fn new(pipeline: &Pipeline, only: &[String], force: &[String]) -> Result<Self, EngineError> {
        let jobs = pipeline.jobs.len();
        let mut wanted = vec![only.is_empty(); jobs];
        for index in named(pipeline, only)? {
            wanted[index] = true;
        }
        // Jobs are in topological order: walking backwards reaches each job after all that need it.
        for index in (0..jobs).rev().filter(|_| !only.is_empty()) {
            if wanted[index] {
                parents(pipeline, index).for_each(|parent| wanted[parent] = true);
            }
        }
        let mut forced = vec![false; jobs];
        for index in named(pipeline, force)? {
            forced[index] = true;
        }
        let mut consumers = vec![Vec::new(); jobs];
        for index in (0..jobs).filter(|&index| wanted[index]) {
            for parent in parents(pipeline, index).collect::<BTreeSet<_>>() {
                consumers[parent].push(index);
            }
        }
        let mut outputs = vec![Vec::new(); jobs];
        for (number, output) in pipeline.outputs.iter().enumerate() {
            if wanted[output.job] {
                outputs[output.job].push(number);
            }
        }
        Ok(Self { wanted, forced, consumers, outputs })
    }

    /// Indices of the jobs asked for, in topological order.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.wanted.len()).filter(|&index| self.wanted[index])
    }

    /// Whether the bytes of a job are wanted for their own sake: nobody reads them here, and they are to be kept.
    pub(crate) fn is_result(&self, pipeline: &Pipeline, job: usize) -> bool {
        self.consumers[job].is_empty() && !pipeline.jobs[job].temporary
    }
}

/// Jobs that `job` reads from; a job may come more than once.
pub(crate) fn parents(pipeline: &Pipeline, job: usize) -> impl Iterator<Item = usize> + '_ {
    pipeline.jobs[job].inputs.iter().filter_map(|input| match &input.source {
        Source::Job { job, .. } => Some(*job),
        Source::Path(_) => None,
    })
}

fn named(pipeline: &Pipeline, names: &[String]) -> Result<Vec<usize>, EngineError> {
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        let fits = pipeline.jobs.iter().enumerate().filter(|(_, job)| job.node == *name || job.id == *name);
        found.extend(fits.map(|(index, _)| index));
        if found.len() == before {
            let known: BTreeSet<&str> = pipeline.jobs.iter().map(|job| job.node.as_str()).collect();
            let nearest = nearest(name, known).map(str::to_owned);
            return Err(EngineError::UnknownNode { name: name.clone(), nearest });
        }
    }
    Ok(found)
}

/// Where an output goes: below `out`, or below the pipeline's folder.
pub(crate) fn destination(pipeline: &Pipeline, out: Option<&Path>, output: &JobOutput) -> PathBuf {
    out.unwrap_or(&pipeline.root).join(&output.path)
}
