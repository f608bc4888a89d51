//! How much is in the store.

use serde::Serialize;

use crate::error::Result;
use crate::files;
use crate::record::Record;
use crate::sandbox::size_below;
use crate::store::Store;

/// Counts and sizes for `celldag cache stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Results.
    pub records: u64,
    /// Record files that cannot be read.
    pub damaged_records: u64,
    /// Bytes that all results together refer to; shared bytes count once for each.
    pub referenced_bytes: u64,
    /// Wall time of all results: what computing everything again would take.
    pub seconds: f64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of blobs.
    pub blob_bytes: u64,
    /// Remembered failures.
    pub failures: u64,
    /// Pieces of unfinished work that saved how far they are.
    pub partials: u64,
    /// Bytes of what they saved.
    pub partial_bytes: u64,
    /// Recorded runs.
    pub runs: u64,
    /// Pins.
    pub pins: u64,
    /// Objects in quarantine.
    pub quarantined: u64,
    /// Bytes in quarantine.
    pub quarantined_bytes: u64,
    /// Results that wait to be sent to a shared store.
    pub queued: u64,
    /// Temporary folders, of living and dead processes.
    pub workspaces: u64,
    /// Bytes in temporary folders.
    pub workspace_bytes: u64,
}

impl Store {
    /// Counts what is in the store. Reads every record, no blobs.
    ///
    /// # Errors
    /// When a folder of the store cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        for path in files::list_sharded(&self.dir("ac"))? {
            match fs_err::read(&path).map(|bytes| Record::decode(&bytes)) {
                Ok(Ok(record)) => {
                    stats.records += 1;
                    stats.referenced_bytes += record.size();
                    stats.seconds += record.seconds;
                }
                _ => stats.damaged_records += 1,
            }
        }
        for path in files::list_sharded(&self.dir("cas"))? {
            stats.blobs += 1;
            stats.blob_bytes += fs_err::metadata(&path).map_or(0, |meta| meta.len());
        }
        let count = |name: &str| files::list(&self.dir(name)).map(|list| list.len() as u64);
        stats.failures = files::list_sharded(&self.dir("failed"))?.len() as u64;
        stats.partials = self.partials()?.len() as u64;
        stats.partial_bytes = size_below(&self.dir("partial"));
        stats.runs = count("runs")?;
        stats.pins = self.pins()?.len() as u64;
        stats.quarantined = count("quarantine")?;
        stats.quarantined_bytes = size_below(&self.dir("quarantine"));
        stats.queued = self.queued()?.len() as u64;
        stats.workspaces = count("tmp")?;
        stats.workspace_bytes = size_below(&self.dir("tmp"));
        Ok(stats)
    }
}
