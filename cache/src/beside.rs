//! Hidden folders beside the user's files: what is not whole yet lies there, on the same file system, and goes with its process.
//!
//! `.celldag~<host>-<pid>-<start>-<n>/` holds a file `.alive`, which its process keeps locked, and a folder with the rest. The
//! kernel drops the lock when the process dies. So whoever writes there next, with whatever store, can tell what a dead process
//! of this machine has left and delete it; what another machine left stays, since its locks may not reach us.
//!
//! Others may write into the user's folder too, as into /tmp, and put links in the place of what we look at. So only what we
//! made and nobody else can change is deleted, and by nothing but [`fs_err::remove_dir_all`], which follows no link.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err::{File, OpenOptions};

use crate::error::{IoContext, Result};
use crate::files;
use crate::host::{host, host_of};
use crate::lock::is_still_named;
use crate::sandbox::{ALIVE, ALIVE_NEW, BIRTH, hold, unused_name};
use crate::stamp::age;
use crate::store::Store;

/// How their names begin; the rest is `<host>-<pid>-<start>-<n>`.
const PREFIX: &str = ".celldag~";

/// What is in them is deleted under this name before their lock file: who is killed on the way leaves one that is dead. No
/// folder of a user has it, should somebody put a link to one in our place.
const INSIDE: &str = ".in~";

/// A hidden folder of this process beside files of the user; deleted when dropped.
#[derive(Debug)]
pub struct Beside {
    dir: PathBuf,
    inside: PathBuf,
    alive: Option<File>,
    next: AtomicU64,
}

impl Beside {
    /// In `folder`, which exists, after deleting what dead processes have left there. Only its owner may look into it.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(folder: &Path) -> Result<Self> {
        sweep(folder);
        Self::unswept(folder)
    }

    fn unswept(folder: &Path) -> Result<Self> {
        let dir = folder.join(format!("{PREFIX}{}", unused_name()));
        files::create_private_dir(&dir)?;
        // Deleted from here on, also if there is no space for its lock file.
        let mut beside = Self { inside: dir.join(INSIDE), dir, alive: None, next: AtomicU64::new(0) };
        beside.alive = Some(hold(&beside.dir)?);
        files::create_dir(&beside.inside)?;
        Ok(beside)
    }

    /// The folder to work in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inside
    }

    /// A path in it that nobody has used.
    #[must_use]
    pub fn fresh_path(&self) -> PathBuf {
        self.inside.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Err(e) = delete(&self.dir, self.alive.take()) {
            tracing::debug!(error = %e, "left-over temporary files will be swept later");
        }
    }
}

/// Whether a file name is that of such a folder.
pub(crate) fn is_beside(name: &OsStr) -> bool {
    owner(name).is_some()
}

/// Whether the folder `tmp` of a store belongs to one that lies in such a folder, and so to one process.
pub(crate) fn is_private(tmp: &Path) -> bool {
    tmp.ancestors().nth(3).and_then(Path::file_name).is_some_and(is_beside)
}

/// The host of such a folder.
fn owner(name: &OsStr) -> Option<&str> {
    name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(host_of)
}

/// Deletes what dead processes of this machine have left in a folder of the user. What cannot be deleted now hurts nobody.
fn sweep(folder: &Path) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    let mut found = entries.flatten().filter(|entry| owner(&entry.file_name()) == Some(host())).peekable();
    if found.peek().is_none() {
        return;
    }
    let found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    // Made to see who owns what we make here: servers of files may count us as another user.
    let Ok(ours) = Beside::unswept(folder) else { return };
    let Ok(ours) = fs_err::symlink_metadata(&ours.dir) else { return };
    for dir in found {
        if let Err(e) = sweep_one(&dir, &ours) {
            tracing::debug!(error = %e, "could not sweep");
        }
    }
}

fn sweep_one(dir: &Path, ours: &Metadata) -> Result<()> {
    let meta = fs_err::symlink_metadata(dir).at("read", dir)?;
    if !meta.is_dir() || !is_of_one_owner(&meta, ours) {
        return Ok(());
    }
    let alive = dir.join(ALIVE);
    match OpenOptions::new().read(true).write(true).open(&alive) {
        Ok(file) if is_still_named(&file, &alive) && file.file().try_lock().is_ok() => {
            delete(dir, Some(file))
        }
        // Its process was killed while it made or deleted it. If there is anything else in it, it is not ours, and stays.
        Err(e) if e.kind() == ErrorKind::NotFound && age(&meta) > BIRTH => {
            files::remove_file(&dir.join(ALIVE_NEW))?;
            fs_err::remove_dir(dir).at("delete the folder", dir)
        }
        // It lives, or cannot be told from one that does.
        _ => Ok(()),
    }
}

/// Whether a folder belongs to whom `ours` belongs to, and nobody else can put anything into it.
#[cfg(unix)]
fn is_of_one_owner(meta: &Metadata, ours: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    meta.uid() == ours.uid() && meta.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_of_one_owner(_meta: &Metadata, _ours: &Metadata) -> bool {
    true
}

fn delete(dir: &Path, alive: Option<File>) -> Result<()> {
    remove(&dir.join(INSIDE))?;
    // NFS keeps a deleted file that is open, under another name in the same folder.
    drop(alive);
    remove(dir)
}

/// Deletes a folder with everything in it, following no link; that it is gone already is fine.
fn remove(dir: &Path) -> Result<()> {
    match fs_err::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).at("delete the folder", dir),
        _ => Ok(()),
    }
}

impl Store {
    /// A folder beside the destination `dest`.
    pub(crate) fn beside(&self, dest: &Path) -> Result<Beside> {
        let folder = files::parent(dest);
        self.sweep_beside(folder);
        Beside::unswept(folder)
    }

    /// Sweeps a folder of the user, unless this process has done so before.
    pub(crate) fn sweep_beside(&self, folder: &Path) {
        if self.swept().insert(folder.to_path_buf()) {
            sweep(folder);
        }
    }

    /// Sweeps a folder and all below it: a process that was killed while it filled the folder may have been anywhere.
    pub(crate) fn sweep_below(&self, folder: &Path) -> Result<()> {
        self.sweep_beside(folder);
        let mut below = Vec::new();
        for entry in fs_err::read_dir(folder).at("list", folder)? {
            let entry = entry.at("list", folder)?;
            // Links are not followed: what they lead to is swept when something is put there.
            if !is_beside(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                below.push(entry.path());
            }
        }
        below.iter().try_for_each(|folder| self.sweep_below(folder))
    }
}
