//! Reading and hashing everything in the store, for `celldag cache verify`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::digest::{Digest, Key};
use crate::error::{Result, StoreError};
use crate::files;
use crate::lock::try_lock;
use crate::partial;
use crate::record::Record;
use crate::store::{Blob, Store};

/// How far [`Store::verify`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Bytes hashed.
    pub bytes: u64,
    /// Bytes to hash.
    pub total_bytes: u64,
}

/// What [`Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Good results, their bytes all there and right.
    pub complete: u64,
    /// Good results without (all) their bytes: temporary or evicted before this check.
    pub partial: u64,
    /// Records that could not be trusted, with the reason. They are in quarantine: their work is done again.
    pub damaged_records: Vec<(PathBuf, String)>,
    /// Good blobs.
    pub blobs: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Blobs that are not what their name says, with where they are now.
    pub damaged_blobs: Vec<(Digest, Option<PathBuf>)>,
    /// Keys of results that lost bytes in this check: their work is done again when somebody needs the bytes.
    pub invalidated: Vec<Key>,
    /// Good saved states of unfinished work.
    pub partials: u64,
    /// Saved states that are not what was saved. They are in quarantine: their work begins without them.
    pub damaged_partials: Vec<PathBuf>,
    /// Files that do not belong here; they were left alone.
    pub foreign: Vec<PathBuf>,
}

impl VerifyReport {
    /// Whether nothing was damaged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged_records.is_empty() && self.damaged_blobs.is_empty() && self.damaged_partials.is_empty()
    }
}

impl Store {
    /// Hashes every blob and checks every record; what is damaged goes to quarantine. Runs may go on meanwhile.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(VerifyProgress)) -> Result<VerifyReport> {
        let _in_use = self.use_shared()?;
        let mut report = VerifyReport::default();
        let records = self.verify_records(&mut report)?;
        // Completeness before, to tell what this check invalidates from what was evicted earlier.
        let mut complete = BTreeMap::new();
        for record in &records {
            complete.insert(record.key, self.absent(record)?.is_empty());
        }
        self.verify_blobs(&mut report, progress)?;
        for record in &records {
            match (complete.get(&record.key), self.absent(record)?.is_empty()) {
                (_, true) => report.complete += 1,
                (Some(true), false) => report.invalidated.push(record.key),
                _ => report.partial += 1,
            }
        }
        self.verify_partials(&mut report)?;
        // Rebuilt from blobs that are good now, when somebody needs them.
        for dir in files::list(&self.dir("trees"))? {
            if let Ok(digest) = files::name_of(&dir).parse::<Digest>() {
                self.checked_trees().remove(&digest);
            }
        }
        Ok(report)
    }

    fn verify_records(&self, report: &mut VerifyReport) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for path in files::list_sharded(&self.dir("ac"))? {
            let Some(key) = files::name_of(&path).strip_suffix(".json").and_then(|k| k.parse::<Key>().ok())
            else {
                report.foreign.push(path);
                continue;
            };
            match self.read_record(&key)? {
                Ok(record) if Key::of_action(record.action.get().as_bytes()) == key => records.push(record),
                Ok(_) => self.reject_record(path, "its action does not belong to its key".into(), report),
                Err(crate::MissReason::Unknown) => {}
                Err(reason) => self.reject_record(path, reason.to_string(), report),
            }
        }
        Ok(records)
    }

    fn reject_record(&self, path: PathBuf, why: String, report: &mut VerifyReport) {
        self.quarantine(&path);
        report.damaged_records.push((path, why));
    }

    fn verify_partials(&self, report: &mut VerifyReport) -> Result<()> {
        for (key, dir) in self.partials()? {
            // Whoever works on it reads what it needs with its checksum, and replaces the rest.
            let held = try_lock(&self.dir("locks").join(key.to_string()));
            if matches!(held, Ok(None)) {
                continue;
            }
            for path in files::list(&dir)? {
                if partial::is_intact(&path)? {
                    report.partials += 1;
                } else {
                    self.quarantine(&path);
                    report.damaged_partials.push(path);
                }
            }
        }
        Ok(())
    }

    fn verify_blobs(
        &self,
        report: &mut VerifyReport,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<()> {
        let mut blobs = Vec::new();
        let mut state = VerifyProgress::default();
        for path in files::list_sharded(&self.dir("cas"))? {
            match Blob::from_name(files::name_of(&path)) {
                Some(blob) if self.blob_path(blob) == path => {
                    let size = fs_err::metadata(&path).map_or(0, |meta| meta.len());
                    state.total_bytes += size;
                    blobs.push((blob, size));
                }
                _ => report.foreign.push(path),
            }
        }
        progress(state);
        for (blob, size) in blobs {
            self.verified().remove(&blob);
            // From here alone: that the shared store could heal it does not make the disk sound.
            match self.fetch_here(blob, None) {
                Ok(_) => report.blobs += 1,
                Err(StoreError::Damaged { digest, quarantined, .. }) => {
                    report.damaged_blobs.push((digest, quarantined));
                }
                Err(StoreError::Missing { .. }) => {}
                Err(e) => return Err(e),
            }
            state.bytes += size;
            report.bytes = state.bytes;
            progress(state);
        }
        Ok(())
    }
}
