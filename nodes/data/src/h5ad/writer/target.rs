//! The HDF5 file behind a writer, closed only when nothing is left to be written.
//!
//! HDF5 1.14 frees its structures of a file when the disk refuses the last write of a close, and then closes it a
//! second time: the process dies. So everything is flushed while the handles are open, and where a write or a flush
//! fails, the handles are left open for good (the HDF5 crate calls `H5dont_atexit`, so nothing closes them later).

use std::path::{Path, PathBuf};

use hdf5::{Dataset, Group, Result};
use hdf5_sys::h5d::H5Dflush;
use hdf5_sys::h5f::{H5F_scope_t, H5Fflush};

use super::matrix::MatrixWriter;

/// An HDF5 file under its temporary name. Dropped at any time, it neither crashes nor holds on to space on the disk.
#[derive(Debug)]
pub(super) struct Target {
    /// The matrix being written.
    pub(super) matrix: Option<MatrixWriter>,
    root: Group,
    temporary: PathBuf,
    /// A write failed: nothing may be closed any more.
    broken: bool,
}

impl Target {
    pub(super) fn create(temporary: &Path) -> std::result::Result<Self, String> {
        let file = hdf5::File::create(temporary).map_err(|error| reason(&error))?;
        match file.group("/") {
            Ok(root) => Ok(Self { matrix: None, root, temporary: temporary.to_owned(), broken: false }),
            Err(error) => {
                std::mem::forget(file);
                Err(reason(&error))
            }
        }
    }

    pub(super) fn root(&self) -> &Group {
        &self.root
    }

    /// Passes a result on, and remembers if the library failed.
    pub(super) fn note<T>(&mut self, result: Result<T>) -> std::result::Result<T, String> {
        result.map_err(|error| {
            self.broken |= matches!(error, hdf5::Error::HDF5(_));
            reason(&error)
        })
    }

    /// Writes everything that is still in memory to the file and the file to the disk, then closes it.
    pub(super) fn close(mut self) -> std::result::Result<(), String> {
        if self.broken {
            return Err("an earlier part of the file could not be written".to_owned());
        }
        let flushed = flush_file(&self.root);
        self.note(flushed)?;
        // Network file systems and quotas may refuse only now.
        let synced = fs_err::File::open(&self.temporary).and_then(|file| file.sync_all());
        synced.map_err(|error| {
            self.broken = true;
            error.to_string()
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.broken && flush_file(&self.root).is_ok() {
            return;
        }
        if let Some(matrix) = &self.matrix {
            matrix.keep_open();
        }
        std::mem::forget(self.root.clone());
        // The file stays open, so removing its name would not free its space.
        let _ = fs_err::OpenOptions::new().write(true).truncate(true).open(&self.temporary);
    }
}

/// Writes into a new dataset and closes it, unless the disk refuses: closing writes what is left in the chunk cache, and
/// a failure there would go unnoticed.
pub(super) fn fill(dataset: Dataset, write: impl FnOnce(&Dataset) -> Result<()>) -> Result<()> {
    let result = write(&dataset).and_then(|()| flush(&dataset));
    if result.is_err() {
        std::mem::forget(dataset);
    }
    result
}

/// Writes what the library holds of `dataset` to the file.
pub(super) fn flush(dataset: &Dataset) -> Result<()> {
    #[expect(unsafe_code, reason = "the HDF5 crate has no call for it")]
    // SAFETY: `dataset` holds the id open during the call, and `sync` holds the library's lock.
    let status = hdf5::sync::sync(|| unsafe { H5Dflush(dataset.id()) });
    hdf5::h5check(status).map(|_| ())
}

/// Writes what the library holds of the whole file. Unlike the crate's own call it makes no second handle of the file,
/// which would be closed on the way out.
fn flush_file(root: &Group) -> Result<()> {
    #[expect(unsafe_code, reason = "the HDF5 crate flushes through a handle that it closes")]
    // SAFETY: `root` holds the id open during the call, and `sync` holds the library's lock.
    let status = hdf5::sync::sync(|| unsafe { H5Fflush(root.id(), H5F_scope_t::H5F_SCOPE_GLOBAL) });
    hdf5::h5check(status).map(|_| ())
}

/// What the operating system said (`No space left on device`) where it is known, else what the library says. Its own
/// text for failed writes has the time and an address in memory in it.
fn reason(error: &hdf5::Error) -> String {
    let hdf5::Error::HDF5(stack) = error else { return error.to_string() };
    let Ok(frames) = stack.clone().expand() else { return error.to_string() };
    let system = frames.iter().find_map(|frame| {
        let (_, message) = frame.desc().split_once("error message = '")?;
        Some(message.split_once('\'')?.0.to_owned())
    });
    system.unwrap_or_else(|| error.to_string())
}
