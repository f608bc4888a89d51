//! Who uses the store: runs share it, garbage collection wants it alone. A kernel lock that dies with its process.

use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fs_err::{File, OpenOptions};

use crate::error::{IoContext, Result, StoreError};
use crate::lock::has_no_locks;
use crate::store::Store;

/// Name of the lock file in `locks/`; keys are hex digits, so none is called so.
pub(crate) const LOCK_NAME: &str = "store";

/// How long a run waits for garbage collection to finish.
const PATIENCE: Duration = Duration::from_secs(60);

/// While it lives, the store is in use and garbage collection keeps away (or the other way round).
#[derive(Debug)]
#[must_use = "the store counts as in use only as long as this lives"]
pub struct UseLock {
    _file: Option<File>,
}

impl Store {
    /// States that this process uses the store, so that nothing is collected meanwhile. Any number of runs may.
    ///
    /// # Errors
    /// [`StoreError::GcRunning`] when garbage collection does not finish within a minute.
    pub fn use_shared(&self) -> Result<UseLock> {
        let path = self.dir("locks").join(LOCK_NAME);
        // Who only looks makes no lock file; where there is one, it holds all the same.
        let file = if self.looks_only() { File::open(&path).ok() } else { open(&path)? };
        let Some(file) = file else { return Ok(UseLock { _file: None }) };
        let start = Instant::now();
        loop {
            match file.file().try_lock_shared() {
                Ok(()) => return Ok(UseLock { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    sleep(Duration::from_millis(50));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::GcRunning { store: self.root().to_path_buf() });
                }
                Err(TryLockError::Error(e)) => return self.without_locks(&path, e),
            }
        }
    }

    /// Takes the store for garbage collection.
    pub(crate) fn use_alone(&self) -> Result<UseLock> {
        let path = self.dir("locks").join(LOCK_NAME);
        let Some(file) = open(&path)? else { return Ok(UseLock { _file: None }) };
        match file.file().try_lock() {
            Ok(()) => Ok(UseLock { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { store: self.root().to_path_buf() }),
            Err(TryLockError::Error(e)) => self.without_locks(&path, e),
        }
    }

    fn without_locks(&self, path: &Path, error: std::io::Error) -> Result<UseLock> {
        // Who asks for leases says that the locks here are not to be relied on, whatever their error is.
        if self.leases() || has_no_locks(&error) {
            tracing::warn!(path = %path.display(), "this file system has no locks: do not collect garbage during a run");
            return Ok(UseLock { _file: None });
        }
        Err(error).at("lock", path)
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path) {
        Ok(file) => Ok(Some(file)),
        // A store that cannot be written to: the lock works on a file opened for reading too.
        Err(e) if matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            Ok(File::open(path).ok())
        }
        Err(e) => Err(e).at("open the lock", path),
    }
}
