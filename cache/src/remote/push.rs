//! Giving results to the shared store: bytes first, the record last, and the first record of a key wins.

use std::time::Duration;

use serde::Serialize;

use crate::digest::Key;
use crate::error::{IoContext, Result, StoreError};
use crate::record::Artifact;
use crate::remote::conflict::Offer;
use crate::remote::{Content, Existing, Link, Object, Put};
use crate::store::{Blob, Store, lock};

/// How often waiting for the thread looks up.
const LOOK: Duration = Duration::from_millis(20);

/// What [`Store::push`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PushReport {
    /// Results that were sent now.
    pub uploaded: u64,
    /// Results that were there already.
    pub known: u64,
    /// Entries of the queue whose result is gone.
    pub dropped: u64,
    /// Results that were taken back in the shared store (`celldag cache purge`) and were therefore not sent.
    pub purged: u64,
    /// Results that wait for a next time.
    pub waiting: u64,
}

/// What came of one upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    Sent,
    /// A record of this key was there.
    Known,
    /// There is no result.
    Gone,
    /// It was taken back there.
    Purged,
    /// The server cannot be reached, or does not let us write.
    Waits,
}

/// What came of sending bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// The server has them.
    Done,
    /// We do not have them.
    NotHere,
    /// The server did not take them.
    Refused,
}

impl Store {
    /// Whether results are meant to go to a shared store: there is one, and we are not told to read only.
    #[must_use]
    pub fn may_push(&self) -> bool {
        self.shared().is_some_and(|link| link.is_writer())
    }

    /// Sends everything in the queue, and returns when the queue is empty, the server cannot be reached, or
    /// `cancelled` says so. Without a shared store, or without the right to write there, nothing is done.
    ///
    /// # Errors
    /// When the queue cannot be read, or garbage collection does not finish within a minute.
    pub fn push(&self, cancelled: &dyn Fn() -> bool) -> Result<PushReport> {
        let mut report = PushReport::default();
        let Some(link) = self.shared() else { return Ok(report) };
        // The thread has begun some of them.
        while !lock(&link.pending).is_empty() && !cancelled() {
            std::thread::sleep(LOOK);
        }
        if !link.is_writer() {
            return Ok(report);
        }
        // What is about to be sent must not be collected.
        let _in_use = self.use_shared()?;
        for key in self.queued()? {
            if cancelled() {
                report.waiting += 1;
                continue;
            }
            match self.upload(&key) {
                Ok(Upload::Sent) => report.uploaded += 1,
                Ok(Upload::Known) => report.known += 1,
                Ok(Upload::Gone) => report.dropped += 1,
                Ok(Upload::Purged) => report.purged += 1,
                Ok(Upload::Waits) => report.waiting += 1,
                Err(e) => {
                    tracing::warn!(%key, error = %e, "this result waits in the queue for the shared store");
                    report.waiting += 1;
                }
            }
        }
        if link.is_offline() && report.waiting > 0 {
            tracing::debug!("offline: {} results wait for the shared store", report.waiting);
        }
        Ok(report)
    }

    /// Sends the result of a key and takes it out of the queue.
    pub(super) fn upload(&self, key: &Key) -> Result<Upload> {
        let Some(link) = self.shared() else { return Ok(Upload::Waits) };
        if !link.may_write() || !link.is_reachable() {
            return Ok(Upload::Waits);
        }
        let Ok(record) = self.read_record(key)? else {
            if !self.is_orphan(key) {
                return Ok(Upload::Waits);
            }
            self.unqueue(key)?;
            return Ok(Upload::Gone);
        };
        // Small ones are in the record.
        let mut complete = true;
        for artifact in record.outputs.values().filter(|a| !record.inline.contains_key(&a.digest)) {
            match self.upload_artifact(link, artifact)? {
                Sending::Done => {}
                Sending::NotHere => complete = false,
                Sending::Refused => return Ok(Upload::Waits),
            }
        }
        let path = self.record_path(key);
        // As it lies on disk: its checksum is over these bytes.
        let bytes = fs_err::read(&path).at("read", &path)?;
        let upload = self.upload_record(link, &Offer { record: &record, bytes: &bytes, complete })?;
        if upload != Upload::Waits {
            self.unqueue(key)?;
        }
        Ok(upload)
    }

    fn upload_record(&self, link: &Link, ours: &Offer<'_>) -> Result<Upload> {
        let object = Object::Record(ours.record.key);
        // Also where a look-up saw a damaged record: that may be long ago, and is judged anew.
        Ok(match link.tell(|remote| remote.put(object, Content::Bytes(ours.bytes), Existing::Keep)) {
            Some(Put::Stored) => {
                link.set_healed(object);
                Upload::Sent
            }
            Some(Put::Conflict) => self.settle(link, ours)?,
            None => Upload::Waits,
        })
    }

    /// Sends the bytes of an artifact. Temporary results have none any more; their record is worth sharing all the same,
    /// as keys downstream need only digests.
    fn upload_artifact(&self, link: &Link, artifact: &Artifact) -> Result<Sending> {
        if !artifact.tree {
            return self.upload_blob(link, Blob::file(artifact.digest), Some(artifact.size));
        }
        let manifest = match self.fetch_manifest_here(artifact) {
            Ok(manifest) => manifest,
            Err(StoreError::Missing { .. }) => return Ok(Sending::NotHere),
            Err(e) => return Err(e),
        };
        for file in manifest.files.values() {
            let sending = self.upload_blob(link, Blob::file(file.digest), Some(file.size))?;
            if sending != Sending::Done {
                return Ok(sending);
            }
        }
        // After its files: a manifest on the server promises them.
        self.upload_blob(link, Blob::tree(artifact.digest), None)
    }

    /// Sends a blob that the server lacks, if we have it; whether it is there now.
    pub(super) fn has_sent(&self, link: &Link, blob: Blob, size: Option<u64>) -> Result<bool> {
        Ok(self.upload_blob(link, blob, size)? == Sending::Done)
    }

    fn upload_blob(&self, link: &Link, blob: Blob, size: Option<u64>) -> Result<Sending> {
        // Checked before it goes to others.
        let path = match self.fetch_here(blob, size) {
            Ok(path) => path,
            Err(StoreError::Missing { .. }) => return Ok(Sending::NotHere),
            Err(e) => return Err(e),
        };
        let length = fs_err::metadata(&path).at("read", &path)?.len();
        let object = Object::Blob(blob.digest);
        if !link.is_damaged(object) && self.is_in_remote(blob.digest, Some(length)) {
            return Ok(Sending::Done);
        }
        let put = link.tell(|remote| remote.put(object, Content::File(&path, length), Existing::Replace));
        if put.is_none() {
            return Ok(Sending::Refused);
        }
        link.set_healed(object);
        link.set_size(blob.digest, Some(length));
        Ok(Sending::Done)
    }
}
