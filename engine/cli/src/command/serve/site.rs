//! What requests share: where the store is, and how far runs that go on have been followed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use celldag_cache::{Store, StoreError};
use celldag_engine::record::KilledRuns;
use celldag_engine::{EngineError, RunHeader};
use celldag_report::served::LiveState;

use super::follow::Followed;
use super::turn::{Turn, Turns};

/// The store that is shown.
pub(super) struct Site {
    folder: PathBuf,
    followed: Mutex<Followed>,
    /// Held while the record of a run is in memory: that of a study is large.
    large: Mutex<()>,
    /// Taken while a whole record is being sent.
    whole: Turns,
    killed: KilledRuns,
}

impl Site {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            followed: Mutex::default(),
            large: Mutex::default(),
            whole: Turns::default(),
            killed: KilledRuns::default(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store to look at. Opened for each request, so that what it reads is given back with it.
    pub(super) fn store(&self) -> Result<Option<Store>, StoreError> {
        Store::look(&self.folder)
    }

    /// Waits until no other request holds a whole record.
    pub(super) fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other answer holds a whole record. Pages do not wait for it: they are small, and who takes a record may
    /// be slow.
    pub(super) fn turn(&self) -> Turn {
        self.whole.take()
    }

    /// What is known of killed runs.
    pub(super) fn killed(&self) -> &KilledRuns {
        &self.killed
    }

    /// Where a run stands, by its events.
    pub(super) fn live(&self, run: &RunHeader, folder: &Path) -> Result<LiveState, EngineError> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).state(run, folder)
    }
}
