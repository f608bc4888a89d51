//! Whether a run goes on: a kernel lock on a file of its folder, which dies with its process, whatever kills it.
//!
//! A process id would be a worse witness: ids are used again, and other machines and containers do not see them.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

const NAME: &str = "alive";

/// Held by the process that runs; the file goes with it.
#[derive(Debug)]
pub(super) struct Alive {
    path: PathBuf,
    _file: fs_err::File,
}

impl Alive {
    /// Says that the run of this folder goes on, for as long as the value lives.
    pub(super) fn claim(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join(NAME);
        let file = fs_err::File::create(&path)?;
        match file.file().try_lock() {
            // The folder is new, so nobody else can hold it.
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            // Readers meet the same error and do not call the run dead.
            Err(TryLockError::Error(e)) => tracing::debug!("no lock on {}: {e}", path.display()),
        }
        Ok(Self { path, _file: file })
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let Err(e) = fs_err::remove_file(&self.path) {
            tracing::debug!("{} stays: {e}", self.path.display());
        }
    }
}

/// Whether a process still runs the run of this folder. Where the file system has no locks nobody can know, and the answer
/// is yes.
pub(super) fn is_alive(folder: &Path) -> bool {
    // Without the file the process has ended, or it was a version that had none.
    let Ok(file) = fs_err::File::open(folder.join(NAME)) else { return false };
    // Shared: two readers do not take each other for the run.
    !matches!(file.file().try_lock_shared(), Ok(()))
}
