//! `keep: temp`: bytes go when their last consumer is done; the record stays, so that nothing runs again for it.

use std::collections::{BTreeMap, BTreeSet};

use celldag_cache::{Artifact, Digest};

use super::Context;
use super::job::{JobStatus, Phase};
use crate::plan::{Done, parents};

/// Which jobs of this run hold which bytes: two jobs may have made the same.
#[derive(Debug, Default)]
pub(crate) struct Temporaries {
    held: BTreeMap<usize, Vec<Artifact>>,
    holders: BTreeMap<Digest, usize>,
}

impl Temporaries {
    /// A job has a result, perhaps in place of an earlier one of this run.
    pub(crate) fn hold(&mut self, job: usize, done: &Done) {
        self.release(job);
        let artifacts: Vec<Artifact> = done.artifacts.values().copied().collect();
        for artifact in &artifacts {
            *self.holders.entry(artifact.digest).or_default() += 1;
        }
        self.held.insert(job, artifacts);
    }

    /// Drops bytes of temporary jobs above `job`, which has just been done, if nobody needs them any more. Returns
    /// those jobs.
    pub(crate) fn drop_above(&mut self, ctx: &Context<'_>, jobs: &[JobStatus], job: usize) -> Vec<usize> {
        let mut dropped = Vec::new();
        for above in parents(ctx.resolver.pipeline, job).collect::<BTreeSet<_>>() {
            let spec = &ctx.resolver.pipeline.jobs[above];
            let done = |job: usize| matches!(jobs[job].phase, Phase::Done);
            if !spec.temporary || !done(above) || !ctx.readers[above].iter().all(|&reader| done(reader)) {
                continue;
            }
            for artifact in self.release(above) {
                match ctx.resolver.store.discard(&artifact) {
                    Ok(freed) => tracing::debug!("{}: {freed} temporary bytes dropped", spec.id),
                    Err(e) => tracing::warn!("temporary bytes of {} stay in the store: {e}", spec.id),
                }
            }
            dropped.push(above);
        }
        dropped
    }

    /// The job holds nothing any more; returns what nobody holds now.
    fn release(&mut self, job: usize) -> Vec<Artifact> {
        let mut free = Vec::new();
        for artifact in self.held.remove(&job).unwrap_or_default() {
            if let Some(count) = self.holders.get_mut(&artifact.digest) {
                *count -= 1;
                if *count == 0 {
                    self.holders.remove(&artifact.digest);
                    free.push(artifact);
                }
            }
        }
        free
    }
}
