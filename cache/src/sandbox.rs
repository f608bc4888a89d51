//! Temporary folders on the file system of the store, and how those of dead processes are told from live ones.
//!
//! A process has one workspace `tmp/<host>-<pid>-<start>-<n>/` per opened store; in it lie a file `.alive` that the
//! process keeps locked, and numbered sandboxes. The kernel drops the lock when the process dies, whatever kills it.
//! Process ids would be a worse witness: containers that share a store see different ones.

use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fs_err::{File, OpenOptions};

use crate::beside::is_private;
use crate::error::{IoContext, Result};
use crate::files;
use crate::host::{host, host_of, process_name};
use crate::stamp::age;
use crate::store::Store;

/// Held by the process that a folder belongs to.
pub(crate) const ALIVE: &str = ".alive";

/// As it is called until it is locked.
pub(crate) const ALIVE_NEW: &str = ".alive-new";

/// A workspace without its lock file may just be being made.
pub(crate) const BIRTH: Duration = Duration::from_secs(3600);

/// Locks of other hosts may not reach us on some shared file systems; their workspaces also have to be this old.
pub(crate) const FOREIGN: Duration = Duration::from_secs(7 * 24 * 3600);

/// The temporary folder of one process in one store.
#[derive(Debug)]
pub(crate) struct Workspace {
    dir: PathBuf,
    _alive: File,
    next: AtomicU64,
}

impl Workspace {
    /// In the folder `tmp` of a store, which exists.
    pub(crate) fn create(tmp: &Path) -> Result<Self> {
        // Nobody else works in a store that goes with this process; the paths of sockets in it have to be short.
        let name = if is_private(tmp) { unused_number().to_string() } else { unused_name() };
        let dir = tmp.join(name);
        fs_err::create_dir(&dir).at("create the folder", &dir)?;
        let alive = hold(&dir)?;
        Ok(Self { dir, _alive: alive, next: AtomicU64::new(0) })
    }

    /// A path below the workspace that nobody has used.
    pub(crate) fn fresh_path(&self) -> PathBuf {
        self.dir.join(self.fresh_number().to_string())
    }

    pub(crate) fn fresh_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn name(&self) -> &str {
        files::name_of(&self.dir)
    }
}

/// `<host>-<pid>-<start>-<n>`, each one once.
pub(crate) fn unused_name() -> String {
    format!("{}-{}", process_name(), unused_number())
}

/// Each once in a process.
pub(crate) fn unused_number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Says in a new folder that this process lives, as long as the file is open.
pub(crate) fn hold(dir: &Path) -> Result<File> {
    // Locked before it gets its name: nobody can see an unlocked `.alive` of a live process.
    let (new, alive) = (dir.join(ALIVE_NEW), dir.join(ALIVE));
    let file = OpenOptions::new().write(true).create_new(true).open(&new).at("create", &new)?;
    match file.file().try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => tracing::warn!(path = %new.display(), "a new file is locked"),
        // Without locks a workspace is swept by age.
        Err(TryLockError::Error(e)) => {
            tracing::debug!(path = %new.display(), error = %e, "no file locks");
        }
    }
    fs_err::rename(&new, &alive).at("create", &alive)?;
    Ok(file)
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(e) = remove(&self.dir) {
            tracing::debug!(error = %e, "left-over temporary files will be swept later");
        }
    }
}

/// An empty folder on the file system of the store for one attempt at a piece of work; deleted when dropped.
#[derive(Debug)]
pub struct Sandbox {
    dir: PathBuf,
    _workspace: Arc<Workspace>,
}

impl Sandbox {
    /// The folder, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(e) = files::remove_tree(&self.dir) {
            tracing::debug!(error = %e, "a left-over sandbox will be swept later");
        }
    }
}

impl Store {
    /// Makes a sandbox. Files that are published from it are moved, not copied.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn sandbox(&self) -> Result<Sandbox> {
        let workspace = self.workspace()?;
        let dir = workspace.fresh_path();
        fs_err::create_dir(&dir).at("create the folder", &dir)?;
        Ok(Sandbox { dir, _workspace: workspace })
    }
}

/// Deletes workspaces of dead processes in the folder `tmp` of a store; returns them with their sizes in bytes. Never fails:
/// what cannot be deleted now is garbage that hurts nobody.
pub(crate) fn sweep(tmp: &Path, dry_run: bool) -> Vec<(PathBuf, u64)> {
    let mut swept = Vec::new();
    for dir in files::list(tmp).unwrap_or_default() {
        // Held while deleting, so that two sweepers do not meet.
        let Some(_held) = dead(&dir) else { continue };
        let bytes = size_below(&dir);
        match if dry_run { Ok(()) } else { remove(&dir) } {
            Ok(()) => swept.push((dir, bytes)),
            Err(e) => tracing::debug!(error = %e, "could not sweep"),
        }
    }
    swept
}

/// Deletes a workspace, its lock file last: who is killed on the way leaves one that is dead, and none that seems to be born.
fn remove(dir: &Path) -> Result<()> {
    for path in files::list(dir)? {
        if fs_err::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            files::remove_tree(&path)?;
        } else if files::name_of(&path) != ALIVE {
            files::remove_file(&path)?;
        }
    }
    files::remove_tree(dir)
}

/// `Some` when the workspace belongs to no living process; holds its lock, if it has one.
fn dead(dir: &Path) -> Option<Option<File>> {
    let meta = fs_err::symlink_metadata(dir).ok().filter(std::fs::Metadata::is_dir)?;
    let own_host = host_of(files::name_of(dir)) == Some(host());
    let alive = dir.join(ALIVE);
    match OpenOptions::new().read(true).write(true).open(&alive) {
        Ok(file) => match file.file().try_lock() {
            Ok(()) => (own_host || age(&meta) > FOREIGN).then_some(Some(file)),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(_)) => (age(&meta) > FOREIGN).then_some(None),
        },
        Err(e) if e.kind() == ErrorKind::NotFound => {
            (age(&meta) > if own_host { BIRTH } else { FOREIGN }).then_some(None)
        }
        Err(_) => None,
    }
}

/// Bytes of all files below a folder, links not followed.
pub(crate) fn size_below(dir: &Path) -> u64 {
    files::list(dir)
        .unwrap_or_default()
        .iter()
        .filter_map(|path| fs_err::symlink_metadata(path).ok().map(|meta| (path, meta)))
        .map(|(path, meta)| if meta.is_dir() { size_below(path) } else { meta.len() })
        .sum()
}
