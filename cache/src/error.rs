//! What can go wrong in the store, told apart as far as a user would act differently.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Key};

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A failure of the store. Messages name the path and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk, the quota or the permitted file size is used up.
    #[error(
        "no space left while trying to {action} {}: {source}; free some space, run `celldag cache gc`, or choose \
         another disk with `--cache DIR`", path.display()
    )]
    OutOfSpace {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error(
        "cannot {action} {}: the file system is read-only; choose a place that can be written to (for the store: `--cache DIR`)",
        path.display()
    )]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The user may not do this.
    #[error(
        "cannot {action} {}: permission denied; ask its owner for access, or choose a place of your own (for the store: \
         `--cache DIR`)", path.display()
    )]
    Permission {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Any other failure of the file system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Stored bytes are not what their name says. They are out of the way; compute the result again.
    #[error(
        "stored object {digest} is damaged ({why}){}; it must be computed again. If this happens more than once, \
         check the disk and run `celldag cache verify`",
        quarantined.as_ref().map(|p| format!(", moved to {}", p.display())).unwrap_or_default()
    )]
    Damaged {
        /// The name that the bytes do not have.
        digest: Digest,
        /// What was found.
        why: String,
        /// Where the bytes are now; `None` when the store could not be changed.
        quarantined: Option<PathBuf>,
    },
    /// Stored bytes are gone (temporary results and evicted ones are). Compute the result again.
    #[error("stored object {digest} is not in the store ({}); it must be computed again", path.display())]
    Missing {
        /// What is missing.
        digest: Digest,
        /// Where it would be.
        path: PathBuf,
    },
    /// Garbage collection wants the store for itself.
    #[error("a run is using this store ({}); try again when it has finished", store.display())]
    InUse {
        /// The store.
        store: PathBuf,
    },
    /// Garbage collection has the store for itself, for longer than one is willing to wait.
    #[error(
        "`celldag cache gc` is cleaning this store ({}); try again when it has finished", store.display()
    )]
    GcRunning {
        /// The store.
        store: PathBuf,
    },
    /// The folder holds something else.
    #[error(
        "{} is not a celldag store: {why}; give an empty or new folder with `--cache DIR`", path.display()
    )]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Written by a newer celldag.
    #[error(
        "the store {} has format {found}, this celldag reads format {supported}; update celldag, or choose another \
         folder with `--cache DIR`", path.display()
    )]
    Format {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// An output that should be published does not exist.
    #[error("output `{port}` was not written: nothing at {}", path.display())]
    OutputMissing {
        /// Port of the output.
        port: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// A file was written to while it was hashed.
    #[error("{} changed while it was being read; wait until it is complete and try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The caller did not want to wait for the end ([`crate::Store::until`]).
    #[error("stopped while {} was being read", path.display())]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
    /// Neither a regular file nor a folder, or a name that cannot be stored.
    #[error("cannot store {}: {why}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something is in the way of a result.
    #[error("cannot put the result at {}: {why}", path.display())]
    Occupied {
        /// The destination.
        path: PathBuf,
        /// What is there.
        why: String,
    },
    /// The caller's action is not JSON, or does not belong to the key: a mistake of the program.
    #[error("the action of key {key} is not usable: {why}")]
    BadAction {
        /// The key.
        key: Key,
        /// What is wrong.
        why: String,
    },
    /// The address of the shared store cannot be used.
    #[error("the shared store `{address}` cannot be used: {why}")]
    RemoteAddress {
        /// The address without user, password and parameters.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The credentials for the shared store cannot be used.
    #[error("no credentials for the shared store: {why}")]
    RemoteCredentials {
        /// What is wrong with them. Holds no secret.
        why: String,
    },
    /// No result is meant, or more than one.
    #[error("no result can be found by `{key}`: {why}")]
    NoSuchKey {
        /// What was given.
        key: String,
        /// What to do.
        why: String,
    },
    /// A name that cannot be a file name.
    #[error(
        "`{name}` cannot be used as a name: use letters, digits, `-`, `_` and `.`, not starting with `.`"
    )]
    BadName {
        /// The name.
        name: String,
    },
}

impl StoreError {
    /// Sorts a system error. `action` completes "cannot ... PATH" (`"read"`, `"create"`).
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            // A file size limit (`ulimit -f`) looks to its user like a full disk, and needs the same care.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::OutOfSpace { action, path, source }
            }
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path, source },
            ErrorKind::PermissionDenied => Self::Permission { action, path, source },
            _ => Self::Io { action, path, source },
        }
    }

    /// Whether space (disk, quota, permitted file size) ran out.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, Self::OutOfSpace { .. })
    }

    /// Whether the caller did not want to wait for the end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// Whether the store cannot be written to: a read-only file system or no permission.
    #[must_use]
    pub fn is_not_writable(&self) -> bool {
        matches!(self, Self::ReadOnly { .. } | Self::Permission { .. })
    }

    /// Whether computing the result again is the cure.
    #[must_use]
    pub fn needs_recompute(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Missing { .. })
    }

    /// Whether a file or folder does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// Attaches what was tried and where to a system error.
pub(crate) trait IoContext<T> {
    /// `action` completes "cannot ... PATH".
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| StoreError::io(action, path, e))
    }
}
