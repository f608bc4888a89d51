//! Failures by key, so that what failed once need not fail again in every run until something changes.

use std::io::ErrorKind;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Key;
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::host::host;
use crate::store::Store;

/// The last failure of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Sort of failure, in the caller's words.
    pub cause: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// How many times the action was tried.
    pub attempts: u32,
    /// When.
    pub created: Timestamp,
    /// On which host.
    pub host: String,
    /// With which version of the program.
    pub version: String,
    /// Whether the caller expects the same failure again while nothing changes.
    #[serde(default)]
    pub lasting: bool,
}

impl Failure {
    /// A failure of this moment on this host, after one attempt.
    #[must_use]
    pub fn now(cause: impl Into<String>, message: impl Into<String>, help: Option<String>) -> Self {
        Self {
            cause: cause.into(),
            message: message.into(),
            help,
            attempts: 1,
            created: Timestamp::now(),
            host: host().to_owned(),
            version: String::new(),
            lasting: false,
        }
    }
}

impl Store {
    fn failure_path(&self, key: &Key) -> PathBuf {
        self.dir("failed").join(key.0.shard()).join(format!("{key}.json"))
    }

    /// Remembers a failure, replacing an earlier one.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn remember_failure(&self, key: &Key, failure: &Failure) -> Result<()> {
        let path = self.failure_path(key);
        let bytes = serde_json::to_vec(failure)
            .map_err(|e| StoreError::io("write", &path, std::io::Error::other(e)))?;
        self.write_atomic(&path, &bytes)
    }

    /// The last failure of an action; `None` when there is none that can be read.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn failure(&self, key: &Key) -> Result<Option<Failure>> {
        let path = self.failure_path(key);
        match fs_err::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).at("read", &path),
        }
    }

    /// Forgets the failure of an action.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn clear_failure(&self, key: &Key) -> Result<()> {
        files::remove_file(&self.failure_path(key)).map(|_| ())
    }
}
