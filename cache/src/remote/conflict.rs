//! What happens when the server refuses a record because it has something under that name.
//!
//! The first record wins, as long as it can be used. One that is damaged gives way. One with other bytes, of which some are
//! gone from the server, is completed if we have them, and otherwise gives way to ours if ours is complete: as it would
//! in the local store. One that was taken back is not sent again.

use super::push::Upload;
use super::standing::{Standing, Theirs, ask_record};
use crate::digest::Digest;
use crate::error::Result;
use crate::record::{Artifact, Record};
use crate::remote::{Content, Existing, Link, Object, Put};
use crate::store::{Blob, Store};

/// A record that is sent.
pub(super) struct Offer<'a> {
    pub(super) record: &'a Record,
    /// As it lies on disk.
    pub(super) bytes: &'a [u8],
    /// Whether the server has all its bytes.
    pub(super) complete: bool,
}

impl Store {
    pub(super) fn settle(&self, link: &Link, ours: &Offer<'_>) -> Result<Upload> {
        let key = &ours.record.key;
        let theirs = match ask_record(link, key) {
            Some(Some(theirs)) => theirs,
            // Not to be read by us: not ours to judge.
            Some(None) => return Ok(Upload::Known),
            None => return Ok(Upload::Waits),
        };
        Ok(match theirs.standing(key, ours.record.action.get().as_bytes()) {
            Standing::Damaged(_) => replace(link, ours, &theirs),
            Standing::Purged(digest) if digest == Digest::of_bytes(ours.bytes) => {
                tracing::warn!(
                    "shared store: the result {key} was taken back there and is not sent again; `celldag cache purge --key \
                     {key}` takes it back here too"
                );
                Upload::Purged
            }
            Standing::Purged(_) => replace(link, ours, &theirs),
            Standing::Record(record) => {
                let same = record.outputs == ours.record.outputs;
                if same || !ours.complete || self.complete_there(link, &record)? {
                    return Ok(Upload::Known);
                }
                tracing::warn!(
                    "shared store: the bytes of the result {key} were lost there; ours, which are others, take their place"
                );
                replace(link, ours, &theirs)
            }
        })
    }

    /// Whether the server has all bytes of a record, after we sent what we have of those that it lacks.
    fn complete_there(&self, link: &Link, theirs: &Record) -> Result<bool> {
        for artifact in theirs.outputs.values().filter(|a| !theirs.inline.contains_key(&a.digest)) {
            if !self.mend(link, artifact)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn mend(&self, link: &Link, artifact: &Artifact) -> Result<bool> {
        if !artifact.tree {
            return self.mend_blob(link, Blob::file(artifact.digest), Some(artifact.size));
        }
        let manifest = match self.fetch_manifest(artifact) {
            Ok(manifest) => manifest,
            Err(e) if e.needs_recompute() => return Ok(false),
            Err(e) => return Err(e),
        };
        for file in manifest.files.values() {
            if !self.mend_blob(link, Blob::file(file.digest), Some(file.size))? {
                return Ok(false);
            }
        }
        self.mend_blob(link, Blob::tree(artifact.digest), None)
    }

    fn mend_blob(&self, link: &Link, blob: Blob, size: Option<u64>) -> Result<bool> {
        // Anew: what an earlier look-up saw may be the very thing that has changed. Without an answer it is not judged.
        let Some(there) = link.ask(|remote| remote.head(Object::Blob(blob.digest))) else { return Ok(true) };
        link.set_size(blob.digest, there);
        if there.is_some_and(|there| size.is_none_or(|size| size == there)) {
            return Ok(true);
        }
        self.has_sent(link, blob, size)
    }
}

/// Puts ours in the place of theirs, unless somebody else was faster: then that is left alone.
fn replace(link: &Link, ours: &Offer<'_>, theirs: &Theirs) -> Upload {
    put(link, ours, theirs.tag.as_deref().map_or(Existing::Replace, Existing::Only))
}

fn put(link: &Link, ours: &Offer<'_>, existing: Existing<'_>) -> Upload {
    let object = Object::Record(ours.record.key);
    match link.tell(|remote| remote.put(object, Content::Bytes(ours.bytes), existing)) {
        Some(Put::Stored) => {
            link.set_healed(object);
            Upload::Sent
        }
        Some(Put::Conflict) => Upload::Known,
        None => Upload::Waits,
    }
}
