//! From a digest to a path whose content has been checked in this process.

use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::hash::digest_stamped;
use crate::record::Artifact;
use crate::stamp::Stamp;
use crate::store::{Blob, Store};
use crate::tree::TreeManifest;

/// How often a blob may be replaced while it is read, before it counts as one that somebody writes to.
const REPLACED: u32 = 20;

impl Store {
    /// The path of stored bytes, for reading only. The first time in a process the content is hashed.
    ///
    /// # Errors
    /// [`StoreError::Missing`] or [`StoreError::Damaged`] (the bytes are then in quarantine): compute the result again.
    pub fn fetch(&self, artifact: &Artifact) -> Result<PathBuf> {
        if artifact.tree {
            self.fetch_tree(artifact)
        } else {
            self.fetch_blob(Blob::file(artifact.digest), Some(artifact.size))
        }
    }

    /// Forgets the bytes of an artifact (`keep: temp`); records that refer to them become [`crate::Lookup::Partial`].
    /// Returns how many bytes were freed. Blobs of a folder stay for garbage collection, other folders may share them.
    ///
    /// # Errors
    /// When they cannot be deleted.
    pub fn discard(&self, artifact: &Artifact) -> Result<u64> {
        let blob = Blob { digest: artifact.digest, tree: artifact.tree };
        if artifact.tree {
            self.checked_trees().remove(&artifact.digest);
            files::remove_tree(&self.tree_path(&artifact.digest))?;
        }
        self.verified().remove(&blob);
        let path = self.blob_path(blob);
        let size = fs_err::metadata(&path).map_or(0, |meta| meta.len());
        Ok(if files::remove_file(&path)? { size } else { 0 })
    }

    /// The path of a blob after checking size and content. What is not here, or damaged, comes from the shared store.
    pub(crate) fn fetch_blob(&self, blob: Blob, size: Option<u64>) -> Result<PathBuf> {
        if !blob.tree
            && let Some(path) = self.fetch_inline(blob.digest)?
        {
            return Ok(path);
        }
        match self.fetch_here(blob, size) {
            Err(e) if e.needs_recompute() => {
                let pulled = match self.pull_blob(blob, size) {
                    Ok(pulled) => pulled,
                    // Computing again would need the same space, or nobody waits for it.
                    Err(trouble) if trouble.is_out_of_space() || trouble.is_cancelled() => {
                        return Err(trouble);
                    }
                    Err(trouble) => {
                        tracing::warn!(error = %trouble, "bytes of the shared store could not be stored");
                        false
                    }
                };
                if pulled { self.fetch_here(blob, size) } else { Err(e) }
            }
            other => other,
        }
    }

    /// As [`Self::fetch_blob`], from this store alone.
    pub(crate) fn fetch_here(&self, blob: Blob, size: Option<u64>) -> Result<PathBuf> {
        let path = self.blob_path(blob);
        let missing = |e: StoreError| {
            if e.is_not_found() { StoreError::Missing { digest: blob.digest, path: path.clone() } } else { e }
        };
        let stamp = Stamp::of(&path).map_err(missing)?;
        if self.verified().get(&blob) == Some(&stamp) && size.is_none_or(|s| s == stamp.size) {
            return Ok(path);
        }
        match self.hash_blob(blob) {
            Ok((digest, stamp)) if digest == blob.digest && size.is_none_or(|s| s == stamp.size) => {
                self.verified().insert(blob, stamp);
                Ok(path)
            }
            Ok((digest, stamp)) => {
                let why = match size {
                    Some(size) if size != stamp.size => format!("{} bytes instead of {size}", stamp.size),
                    _ => format!("its content has digest {digest}"),
                };
                Err(self.damaged(blob, why))
            }
            // Somebody writes to a read-only object: whatever comes of it, it is not what its name says.
            Err(StoreError::Changed { .. }) => Err(self.damaged(blob, "it is being written to".into())),
            Err(StoreError::Unsupported { why, .. }) => Err(self.damaged(blob, why)),
            Err(e) => Err(missing(e)),
        }
    }

    fn damaged(&self, blob: Blob, why: String) -> StoreError {
        self.verified().remove(&blob);
        let quarantined = self.quarantine(&self.blob_path(blob));
        StoreError::Damaged { digest: blob.digest, why, quarantined }
    }

    /// The digest that a blob's content really has, in the context that its name says.
    ///
    /// Processes that come to the same bytes by different work put their files in its place, one after the other: a blob that
    /// is another file after reading than before is read again, and only one that never stays is being written to.
    pub(crate) fn hash_blob(&self, blob: Blob) -> Result<(Digest, Stamp)> {
        for _ in 0..REPLACED {
            match self.hash_once(blob) {
                Err(StoreError::Changed { .. }) => {}
                other => return other,
            }
        }
        self.hash_once(blob)
    }

    fn hash_once(&self, blob: Blob) -> Result<(Digest, Stamp)> {
        let path = self.blob_path(blob);
        if !blob.tree {
            return digest_stamped(&path, self.stop());
        }
        let stamp = Stamp::of(&path)?;
        let bytes = fs_err::read(&path).at("read", &path)?;
        Ok((TreeManifest::digest_of(&bytes), stamp))
    }
}
