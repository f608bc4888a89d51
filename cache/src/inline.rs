//! Small outputs live in the record: thousands of tiny results would else be thousands of files, each of them flushed.
//!
//! Only text is kept so (tables, JSON), as it stands in the record's JSON as it is. A reader gets a file all the same: it
//! is written out when it is asked for, among the temporary files of the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::record::{Artifact, Record};
use crate::stamp::Stamp;
use crate::store::{Store, lock};

/// Small outputs that this process has seen.
#[derive(Default)]
pub(crate) struct Inline {
    texts: BTreeMap<Digest, String>,
    /// Where they were written out, with the stamp that the file had then.
    files: BTreeMap<Digest, (PathBuf, Stamp)>,
    /// Where to write when the store cannot be written to.
    scratch: Option<tempfile::TempDir>,
}

impl Store {
    /// The content of an output that goes into the record; `None` when it is to be stored as a blob.
    pub(crate) fn inlined(&self, path: &Path) -> Result<Option<(Artifact, String)>> {
        let before = Stamp::of(path)?;
        if before.size >= self.inline_limit() || !fs_err::metadata(path).at("read", path)?.is_file() {
            return Ok(None);
        }
        let bytes = fs_err::read(path).at("read", path)?;
        if Stamp::of(path)? != before || bytes.len() as u64 != before.size {
            return Err(StoreError::Changed { path: path.to_path_buf() });
        }
        let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
        let artifact = Artifact { digest: Digest::of_bytes(text.as_bytes()), size: before.size, tree: false };
        Ok(Some((artifact, text)))
    }

    /// Remembers what a record holds, for [`Self::fetch_inline`].
    pub(crate) fn note_inline(&self, record: &Record) {
        if record.inline.is_empty() {
            return;
        }
        let mut known = lock(self.inline());
        for (digest, text) in &record.inline {
            // Their digests were compared when the record was read.
            if !known.texts.contains_key(digest) {
                known.texts.insert(*digest, text.clone());
            }
        }
    }

    /// A file with the content of a small output; `None` when no record that this process has seen holds it.
    pub(crate) fn fetch_inline(&self, digest: Digest) -> Result<Option<PathBuf>> {
        let mut known = lock(self.inline());
        let Inline { texts, files: written, scratch } = &mut *known;
        let Some(text) = texts.get(&digest) else { return Ok(None) };
        if let Some((path, stamp)) = written.get(&digest)
            && Stamp::of(path).is_ok_and(|now| now == *stamp)
        {
            return Ok(Some(path.clone()));
        }
        let path = match self.workspace() {
            Ok(workspace) => workspace.fresh_path(),
            Err(_) => {
                if scratch.is_none() {
                    let place = std::env::temp_dir();
                    *scratch = Some(tempfile::tempdir().at("create a folder in", &place)?);
                }
                let Some(scratch) = scratch else { return Ok(None) };
                // Somebody may have written to the one before.
                scratch.path().join(format!("{}-{digest}", written.len()))
            }
        };
        files::write_new(&path, text.as_bytes(), false)?;
        files::set_mode(&path, true)?;
        written.insert(digest, (path.clone(), Stamp::of(&path)?));
        Ok(Some(path))
    }
}
