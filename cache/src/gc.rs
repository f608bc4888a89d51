//! Garbage collection: what is nobody's goes, then results by age and by what they cost to have back.
//!
//! Kept in any case: pinned results, what the last runs used, and everything young. Records go before their bytes, so
//! that a crash in between leaves garbage, never a record that promises too much.

mod mark;
mod sweep;

use std::time::Duration;

use serde::Serialize;

use crate::digest::Key;
use crate::error::Result;
use crate::store::Store;
pub(crate) use mark::{Catalog, Claim};

/// What garbage collection may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GcPolicy {
    /// Results that nobody looked up for this long go. `None`: age is no reason.
    pub max_age: Option<Duration>,
    /// Results go until the bytes of the others fit, most bytes per second of recomputing first. `None`: no limit.
    pub max_bytes: Option<u64>,
    /// Results that one of this many latest runs used stay.
    pub keep_runs: usize,
    /// Results and blobs younger than this stay.
    pub grace: Duration,
    /// Only says what would go.
    pub dry_run: bool,
}

impl Default for GcPolicy {
    /// Deletes only what no result refers to, and temporary bytes of runs that died.
    fn default() -> Self {
        Self {
            max_age: None,
            max_bytes: None,
            keep_runs: 5,
            grace: Duration::from_secs(3600),
            dry_run: false,
        }
    }
}

/// Why a result went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvictionReason {
    /// Nobody looked it up for longer than the limit.
    Age,
    /// The store was larger than the limit.
    Size,
    /// Its record cannot be read.
    Damaged,
}

/// A result that went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evicted {
    /// Which.
    pub key: Key,
    /// Bytes it referred to; shared bytes only go with their last result.
    pub bytes: u64,
    /// Wall time of computing it again.
    pub seconds: f64,
    /// Why.
    pub reason: EvictionReason,
}

/// What garbage collection did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GcReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Results that went, in the order in which they were chosen.
    pub evicted: Vec<Evicted>,
    /// Blobs that went.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub blob_bytes: u64,
    /// Temporary folders of dead processes.
    pub workspaces: u64,
    /// Bytes of these folders.
    pub workspace_bytes: u64,
    /// Old objects in quarantine.
    pub quarantined: u64,
    /// Bytes of these objects.
    pub quarantined_bytes: u64,
    /// Unpacked folders.
    pub trees: u64,
    /// Lock files of dead processes.
    pub locks: u64,
    /// Old failures.
    pub failures: u64,
    /// Saved states of unfinished work that nobody went on with, or whose result is there.
    pub partials: u64,
    /// Bytes of these states.
    pub partial_bytes: u64,
    /// Bytes saved in the list of known digests.
    pub memo_bytes: u64,
    /// Results that stay.
    pub kept_records: u64,
    /// Bytes of blobs that stay.
    pub kept_bytes: u64,
}

impl GcReport {
    /// Bytes freed on disk.
    #[must_use]
    pub fn freed_bytes(&self) -> u64 {
        self.blob_bytes + self.workspace_bytes + self.quarantined_bytes + self.partial_bytes + self.memo_bytes
    }
}

impl Store {
    /// Collects garbage.
    ///
    /// # Errors
    /// [`crate::StoreError::InUse`] while a run uses the store; when a pin cannot be read; when the store cannot be
    /// written to.
    pub fn gc(&self, policy: &GcPolicy) -> Result<GcReport> {
        let _alone = self.use_alone()?;
        let mut report = GcReport { dry_run: policy.dry_run, ..GcReport::default() };
        let mut catalog = Catalog::read(self)?;
        let mut notes = self.take_notes()?;
        catalog.protect(self, policy)?;
        catalog.give_up(notes.give_up(self, &catalog)?);
        catalog.evict(policy, &mut report);
        // Before records go: what belongs to a complete result is of no use, whatever becomes of the result.
        self.sweep_partials(policy, &mut report)?;
        self.sweep_records(&catalog, policy)?;
        self.sweep_blobs(&catalog, policy, &mut report)?;
        self.sweep_trees(&catalog, policy, &mut report)?;
        if !policy.dry_run {
            notes.settle(self)?;
        }
        self.sweep_rest(policy, &mut report)?;
        Ok(report)
    }
}
