//! The few file operations that the whole protocol rests on: atomic writes, tolerant deletes, read-only modes.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::error::{IoContext, Result};

/// Creates a folder and its parents.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs_err::create_dir_all(path).at("create the folder", path)
}

/// Creates a folder into which nobody but its owner may look, where the system can say so. Born so rather than changed: nobody
/// gets in before, and what the folder above hands down (a group, a list of rights) stays.
pub(crate) fn create_private_dir(path: &Path) -> Result<()> {
    #[cfg(unix)]
    let made = {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().mode(0o700).create(path)
    };
    #[cfg(not(unix))]
    let made = std::fs::create_dir(path);
    made.at("create the folder", path)
}

/// Makes a rename or a deletion inside `folder` survive a power failure. Only Unix can open folders for that.
pub(crate) fn sync_dir(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).at("flush the folder", folder)?;
    }
    Ok(())
}

/// Flushes a file's content.
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).at("flush", path)
}

/// Writes a new file at `tmp` (on the same file system as its destination), ready to be renamed.
pub(crate) fn write_new(tmp: &Path, bytes: &[u8], sync: bool) -> Result<()> {
    write_parts(tmp, &[bytes], sync)
}

/// As [`write_new`], with content that lies in several places.
pub(crate) fn write_parts(tmp: &Path, parts: &[&[u8]], sync: bool) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = fs_err::OpenOptions::new().write(true).create_new(true).open(tmp)?;
        for bytes in parts {
            file.write_all(bytes)?;
        }
        if sync { file.sync_all() } else { Ok(()) }
    };
    write().at("write", tmp)
}

/// Replaces `to` by `from` in one step, creating the folder of `to` if it is not there yet.
pub(crate) fn rename(from: &Path, to: &Path, sync: bool) -> Result<()> {
    match fs_err::rename(from, to) {
        Err(e) if e.kind() == ErrorKind::NotFound && from.exists() => {
            let folder = parent(to);
            create_dir(folder)?;
            if sync {
                sync_dir(parent(folder))?;
            }
            fs_err::rename(from, to).at("create", to)?;
        }
        other => other.at("create", to)?,
    }
    if sync {
        sync_dir(parent(to))?;
    }
    Ok(())
}

/// Deletes a file; that it is gone already is fine. Returns whether this call deleted it.
pub(crate) fn remove_file(path: &Path) -> Result<bool> {
    match fs_err::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) if e.kind() == ErrorKind::PermissionDenied && !cfg!(unix) => {
            // Windows refuses to delete read-only files.
            set_mode(path, false)?;
            fs_err::remove_file(path).at("delete", path).map(|()| true)
        }
        Err(e) => Err(e).at("delete", path),
    }
}

/// Deletes a folder with everything in it; that it is gone already is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match fs_err::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        // A step may have written folders without write permission.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            make_folders_writable(path);
            match fs_err::remove_dir_all(path) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(e).at("delete the folder", path),
                _ => Ok(()),
            }
        }
        Err(e) => Err(e).at("delete the folder", path),
    }
}

fn make_folders_writable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755));
        for entry in fs_err::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                make_folders_writable(&entry.path());
            }
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Sets a file to 0444 (`read_only`) or 0644.
pub(crate) fn set_mode(path: &Path, read_only: bool) -> Result<()> {
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        std::fs::Permissions::from_mode(if read_only { 0o444 } else { 0o644 })
    };
    #[cfg(not(unix))]
    let permissions = {
        let mut now = fs_err::metadata(path).at("read the permissions of", path)?.permissions();
        now.set_readonly(read_only);
        now
    };
    fs_err::set_permissions(path, permissions).at("set the permissions of", path)
}

/// The folder of a path inside the store or of a destination.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Entries of a folder in the order of their names; a folder that does not exist is empty.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).at("list", folder),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.at("list", folder)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Entries two levels down (`ac/kk/*`, `cas/dd/*`), in order.
pub(crate) fn list_sharded(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for shard in list(folder)? {
        if shard.is_dir() {
            all.extend(list(&shard)?);
        }
    }
    Ok(all)
}

/// File name as text; empty for names that are not UTF-8, which the store never writes.
pub(crate) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
}

/// Gives the file `from` the name `to` unless that is taken. Returns whether it did; `from` is gone only if it did.
pub(crate) fn rename_no_replace(from: &Path, to: &Path) -> Result<bool> {
    match fs_err::hard_link(from, to) {
        Ok(()) => remove_file(from).map(|_| true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(e).at("create", to),
        // No hard links on this file system. Between the check and the rename another process may come first; its
        // file is then replaced by ours, which is as good.
        Err(_) if to.exists() => Ok(false),
        Err(_) => fs_err::rename(from, to).at("create", to).map(|()| true),
    }
}
