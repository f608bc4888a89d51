//! One computation per key: a kernel lock that the holder unlinks and that dies with its process.
//!
//! The lock saves work, it does not guard correctness: publishing twice is harmless. That is why a file system without
//! locks is no obstacle: a lease takes the lock's place there.

pub(crate) mod lease;

use std::fs::TryLockError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use fs_err::{File, OpenOptions};

use crate::digest::Key;
use crate::error::{IoContext, Result};
use crate::files;
use crate::store::Store;
use lease::{Lease, Pace};

const SHORTEST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// While it lives, no other process or thread works on the key.
#[derive(Debug)]
#[must_use = "the key is locked only as long as this lives"]
pub struct KeyLock {
    path: PathBuf,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// Open as long as it is held; closing it lets go.
    Kernel {
        _file: File,
    },
    Lease {
        _lease: Lease,
    },
}

impl KeyLock {
    /// Name of the lock file, which is the key for the locks of [`Store::lock`].
    pub(crate) fn name(&self) -> &str {
        files::name_of(&self.path)
    }

    /// Whether others are kept away for sure: a machine that sleeps loses its lease.
    pub(crate) fn excludes_others(&self) -> bool {
        matches!(self.held, Held::Kernel { .. })
    }
}

impl Store {
    /// Waits for the right to compute `key`. `on_wait` is called once, when somebody else holds it; look the key up
    /// again after a wait. Returns `None` when `cancelled` says so.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(
        &self,
        key: &Key,
        on_wait: &mut dyn FnMut(),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<KeyLock>> {
        let path = self.dir("locks").join(key.to_string());
        let mut pause = SHORTEST_WAIT;
        let mut told = false;
        while !cancelled() {
            if let Some(lock) = self.try_hold(&path)? {
                return Ok(Some(lock));
            }
            if !told {
                told = true;
                on_wait();
            }
            sleep(pause);
            pause = (pause * 2).min(LONGEST_WAIT);
        }
        Ok(None)
    }

    /// One attempt at the lock with this file.
    pub(crate) fn try_hold(&self, path: &Path) -> Result<Option<KeyLock>> {
        if self.leases() { try_lease(path) } else { try_lock(path) }
    }
}

/// Whether somebody holds the lock with this file. Takes nothing, so that several may ask at once.
pub(crate) fn is_held(path: &Path) -> Result<bool> {
    if lease::is_alive(path)? {
        return Ok(true);
    }
    match File::open(path) {
        Ok(file) => Ok(matches!(file.file().try_lock_shared(), Err(TryLockError::WouldBlock))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).at("open the lock", path),
    }
}

/// One attempt; `None` when somebody else holds the lock or its file was unlinked under us.
pub(crate) fn try_lock(path: &Path) -> Result<Option<KeyLock>> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = match open() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            files::create_dir(files::parent(path))?;
            open().at("create the lock", path)?
        }
        // Windows answers so while a deleted file is still open somewhere.
        Err(e) if e.kind() == ErrorKind::PermissionDenied && cfg!(windows) => return Ok(None),
        other => other.at("create the lock", path)?,
    };
    match file.file().try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) if has_no_locks(&e) => {
            tracing::debug!(path = %path.display(), "this file system has no locks: a lease takes the place of one");
            files::remove_file(path)?;
            return try_lease(path);
        }
        Err(TryLockError::Error(e)) => return Err(e).at("lock", path),
    }
    // The holder before us unlinks the file before it lets go: what we have locked may have no name any more, and
    // somebody else may hold a new file of that name.
    if is_still_named(&file, path) {
        Ok(Some(KeyLock { path: path.to_path_buf(), held: Held::Kernel { _file: file } }))
    } else {
        Ok(None)
    }
}

/// Whether an error of locking says that the file system has no locks.
pub(crate) fn has_no_locks(error: &io::Error) -> bool {
    // ENOLCK: NFS says so when nobody answers for locks (no `lockd`). The standard library has no kind for it.
    let no_locks_available = if cfg!(any(target_os = "linux", target_os = "android")) {
        Some(37)
    } else if cfg!(unix) {
        Some(77)
    } else {
        None
    };
    error.kind() == ErrorKind::Unsupported
        || no_locks_available.is_some_and(|number| error.raw_os_error() == Some(number))
}

fn try_lease(path: &Path) -> Result<Option<KeyLock>> {
    let lease = Lease::take(path, Pace::USUAL)?;
    Ok(lease.map(|lease| KeyLock { path: path.to_path_buf(), held: Held::Lease { _lease: lease } }))
}

/// Whether an open file is the one of that name, and did not lie behind a link of that name.
#[cfg(unix)]
pub(crate) fn is_still_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs_err::symlink_metadata(path)) {
        (Ok(ours), Ok(named)) => ours.ino() == named.ino() && ours.dev() == named.dev(),
        _ => false,
    }
}

/// Without inodes lock files are never unlinked by their holders, see [`KeyLock::drop`].
#[cfg(not(unix))]
pub(crate) fn is_still_named(_file: &File, path: &Path) -> bool {
    path.exists()
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        // Only Unix can tell an unlinked lock file from its successor; elsewhere garbage collection deletes them.
        if cfg!(unix) && self.excludes_others() {
            let _ = files::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_known_by_its_answer() {
        assert!(has_no_locks(&ErrorKind::Unsupported.into()));
        assert!(!has_no_locks(&ErrorKind::PermissionDenied.into()));
        if cfg!(target_os = "linux") {
            let [enolck, eio] = [37, 5].map(io::Error::from_raw_os_error);
            assert!(has_no_locks(&enolck), "NFS without lockd");
            assert!(!has_no_locks(&eio));
        }
    }
}
