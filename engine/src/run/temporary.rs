//! `keep: temp`: bytes go when their last consumer is done; the record stays, so that nothing runs again for it.
//!
//! The store has one copy of equal bytes, so what one job calls temporary may be another's result. Bytes are dropped only if
//! this run brought them into the store, and no job that keeps its bytes has published the same since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use celldag_cache::{Artifact, Digest, Key};

use super::Context;
use super::job::{JobStatus, Phase};
use crate::plan::{Done, parents};

/// What stands between workers that publish and the coordinator that drops.
#[derive(Debug, Default)]
pub(crate) struct Publishing {
    /// Read while a result is published, written while bytes are dropped: a result must not build on bytes that go.
    gate: RwLock<()>,
    kept: Mutex<BTreeSet<Digest>>,
}

impl Publishing {
    /// Held from before a result is published until its bytes are known to be [`Publishing::keep`]t.
    pub(crate) fn begin(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job that is not temporary has these bytes.
    fn keep(&self, digests: impl Iterator<Item = Digest>) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(digests);
    }

    /// Drops bytes unless they are kept; `false` when somebody publishes at this moment.
    fn try_drop(&self, digest: &Digest, discard: impl FnOnce()) -> bool {
        let Ok(_closed) = self.gate.try_write() else { return false };
        if !self.kept.lock().unwrap_or_else(PoisonError::into_inner).contains(digest) {
            discard();
        }
        true
    }
}

impl Context<'_> {
    /// The job is done with these outputs; unless it is temporary, no job of this run may drop them any more.
    pub(crate) fn keep(&self, job: usize, artifacts: &BTreeMap<String, Artifact>) {
        if self.resolver.pipeline.jobs[job].temporary {
            return;
        }
        self.publishing.keep(artifacts.values().map(|artifact| artifact.digest));
        for artifact in artifacts.values() {
            noted(self.note.kept(&artifact.digest));
        }
    }
}

/// What a note lacks costs disk space, and no result.
fn noted(written: Result<(), celldag_cache::StoreError>) {
    if let Err(e) = written {
        tracing::warn!("temporary bytes may stay in the store: {e}");
    }
}

/// Which jobs of this run hold which bytes: two jobs may have made the same.
#[derive(Debug, Default)]
pub(crate) struct Temporaries {
    held: BTreeMap<usize, Vec<Artifact>>,
    holders: BTreeMap<Digest, usize>,
    /// Bytes that the store did not have before this run.
    created: BTreeSet<Digest>,
    /// Bytes that could not be dropped yet, because results were being published.
    due: Vec<Artifact>,
}

impl Temporaries {
    /// A job has a result, perhaps in place of an earlier one of this run; `created` is what is new in the store. What dead runs
    /// have left counts as new: this run drops it in their place.
    pub(crate) fn hold(
        &mut self,
        ctx: &Context<'_>,
        job: usize,
        done: &Done,
        created: &BTreeSet<Digest>,
        key: Option<Key>,
    ) {
        self.release(job);
        self.created.extend(created);
        let artifacts: Vec<Artifact> = done.artifacts.values().copied().collect();
        for artifact in &artifacts {
            if let Some(key) = key
                && ctx.resolver.pipeline.jobs[job].temporary
                && ctx.note.is_orphan(&artifact.digest)
            {
                noted(ctx.note.made(&key, artifact));
                self.created.insert(artifact.digest);
            }
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
            let free = self.release(above);
            self.due.extend(free);
            dropped.push(above);
        }
        self.drop_due(ctx);
        dropped
    }

    /// Drops what is due, as far as nobody publishes.
    pub(crate) fn drop_due(&mut self, ctx: &Context<'_>) {
        let (holders, created) = (&self.holders, &self.created);
        // A job may have taken them up again since.
        self.due
            .retain(|artifact| !holders.contains_key(&artifact.digest) && created.contains(&artifact.digest));
        self.due.retain(|artifact| {
            !ctx.publishing.try_drop(&artifact.digest, || match ctx.resolver.store.discard(artifact) {
                Ok(freed) => {
                    tracing::debug!("{freed} temporary bytes dropped");
                    noted(ctx.note.gone(&artifact.digest));
                }
                Err(e) => tracing::warn!("temporary bytes stay in the store: {e}"),
            })
        });
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
