//! Deleting what was chosen, and what is nobody's.

use std::path::Path;
use std::time::Duration;

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::files;
use crate::gc::mark::Catalog;
use crate::gc::{GcPolicy, GcReport};
use crate::lock::lease;
use crate::partial;
use crate::sandbox;
use crate::stamp::age;
use crate::store::{Blob, Store};
use crate::usage::LOCK_NAME;

/// How long damaged objects are kept for whoever wants to look into it.
const QUARANTINE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Store {
    pub(super) fn sweep_records(&self, catalog: &Catalog, policy: &GcPolicy) -> Result<()> {
        if policy.dry_run {
            return Ok(());
        }
        for entry in catalog.entries.iter().filter(|entry| entry.evicted) {
            files::remove_file(&entry.path)?;
        }
        if self.sync() {
            // The records must be gone for good before their bytes go.
            for folder in files::list(&self.dir("ac"))? {
                files::sync_dir(&folder)?;
            }
        }
        Ok(())
    }

    pub(super) fn sweep_blobs(
        &self,
        catalog: &Catalog,
        policy: &GcPolicy,
        report: &mut GcReport,
    ) -> Result<()> {
        for path in files::list_sharded(&self.dir("cas"))? {
            let Some(blob) = Blob::from_name(files::name_of(&path)) else { continue };
            let Ok(meta) = fs_err::metadata(&path) else { continue };
            // A young blob may belong to a record that is about to be written, where locks do not work.
            let wanted = catalog.is_live(blob) || age(&meta) < policy.grace;
            if wanted && !catalog.is_given_up(blob) {
                report.kept_bytes += meta.len();
                continue;
            }
            report.blobs += 1;
            report.blob_bytes += meta.len();
            if !policy.dry_run {
                self.verified().remove(&blob);
                files::remove_file(&path)?;
            }
        }
        Ok(())
    }

    pub(super) fn sweep_trees(
        &self,
        catalog: &Catalog,
        policy: &GcPolicy,
        report: &mut GcReport,
    ) -> Result<()> {
        for path in files::list(&self.dir("trees"))? {
            let digest = files::name_of(&path).parse::<Digest>();
            if digest.as_ref().is_ok_and(|digest| catalog.is_live_tree(*digest)) {
                continue;
            }
            report.trees += 1;
            if !policy.dry_run {
                if let Ok(digest) = digest {
                    self.checked_trees().remove(&digest);
                }
                files::remove_tree(&path)?;
            }
        }
        Ok(())
    }

    pub(super) fn sweep_partials(&self, policy: &GcPolicy, report: &mut GcReport) -> Result<()> {
        for (key, dir) in self.partials()? {
            let Ok(meta) = fs_err::metadata(&dir) else { continue };
            // Every save renames a file into the folder, which is its last change.
            let old = policy.max_age.is_some_and(|limit| age(&meta) > limit);
            let complete = match self.read_record(&key)? {
                Ok(record) => self.absent(&record)?.is_empty(),
                Err(_) => false,
            };
            if !old && !complete {
                continue;
            }
            report.partials += 1;
            report.partial_bytes += sandbox::size_below(&dir);
            if !policy.dry_run {
                partial::remove(self, &dir)?;
            }
        }
        Ok(())
    }

    pub(super) fn sweep_rest(&self, policy: &GcPolicy, report: &mut GcReport) -> Result<()> {
        for (_, bytes) in sandbox::sweep(&self.dir("tmp"), policy.dry_run) {
            report.workspaces += 1;
            report.workspace_bytes += bytes;
        }
        for path in files::list(&self.dir("quarantine"))? {
            // The time of its last change of place, where the system keeps one, is when it was set aside.
            let Ok(meta) = fs_err::symlink_metadata(&path) else { continue };
            if set_aside(&meta) < QUARANTINE {
                continue;
            }
            report.quarantined += 1;
            report.quarantined_bytes += meta.len();
            if !policy.dry_run {
                files::remove_file(&path)?;
            }
        }
        for path in files::list(&self.dir("locks"))? {
            if files::name_of(&path) != LOCK_NAME && release_stale(&path, policy.dry_run)? {
                report.locks += 1;
            }
        }
        if let Some(limit) = policy.max_age {
            for path in files::list_sharded(&self.dir("failed"))? {
                if fs_err::metadata(&path).is_ok_and(|meta| age(&meta) > limit) {
                    report.failures += 1;
                    if !policy.dry_run {
                        files::remove_file(&path)?;
                    }
                }
            }
        }
        report.memo_bytes = self.memo().compact(self, policy.dry_run)?;
        self.forget_placed(policy.dry_run)
    }
}

/// Deletes a lock file that nobody holds; returns whether nobody does.
fn release_stale(path: &Path, dry_run: bool) -> Result<bool> {
    // Names that begin with a dot live for an instant, unless a crash leaves them.
    if files::name_of(path).ends_with(lease::ENDING) || files::name_of(path).starts_with('.') {
        return lease::release_dead(path, dry_run);
    }
    if dry_run {
        let file = fs_err::OpenOptions::new().read(true).write(true).open(path).at("open the lock", path)?;
        return Ok(file.file().try_lock().is_ok());
    }
    match crate::lock::try_lock(path)? {
        Some(lock) => {
            // On Unix the lock deletes its file itself, while it holds it.
            drop(lock);
            if !cfg!(unix) {
                files::remove_file(path)?;
            }
            Ok(true)
        }
        None => Ok(false),
    }
}

/// How long ago a file was moved into quarantine.
fn set_aside(meta: &std::fs::Metadata) -> Duration {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        use std::time::{SystemTime, UNIX_EPOCH};
        let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or_default());
        SystemTime::now().duration_since(changed).unwrap_or_default()
    }
    #[cfg(not(unix))]
    age(meta)
}
