//! Where a job stands in a run, and the limits of one that is running.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use celldag_cache::Key;

use super::gpus::GpuSlot;
use crate::plan::{Done, JobState, Reason, Resolved};
use crate::record::{JobOutcome, OutputRecord};
use crate::step::{Cancel, NodeError};

/// Stops a running job: the user's interrupt, or its own `timeout:`. Clones share the state.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// What the kind looks at.
    pub(crate) cancel: Cancel,
    timeout: Option<Duration>,
    began: Arc<Mutex<Option<Instant>>>,
    exceeded: Arc<AtomicBool>,
}

impl Limits {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { cancel: Cancel::new(), timeout, began: Arc::default(), exceeded: Arc::default() }
    }

    /// The clock starts with the kind's work, anew with each attempt: waiting for another process does not count.
    pub(crate) fn begin(&self) {
        self.set(Some(Instant::now()));
    }

    /// The attempt has ended: the wait before the next one does not count.
    pub(crate) fn end(&self) {
        self.set(None);
    }

    fn set(&self, began: Option<Instant>) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = began;
    }

    /// Raises the flag when time is up.
    pub(crate) fn check(&self) {
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(timeout), Some(began)) = (self.timeout, began)
            && began.elapsed() >= timeout
        {
            self.exceeded.store(true, Ordering::Relaxed);
            self.cancel.cancel();
        }
    }

    /// The timeout, if it was exceeded.
    pub(crate) fn exceeded(&self) -> Option<Duration> {
        self.check();
        self.timeout.filter(|_| self.exceeded.load(Ordering::Relaxed))
    }
}

/// What a job is given when it starts.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// CPU threads.
    pub(crate) threads: usize,
    /// The GPUs that it holds; empty where there are none to choose from.
    pub(crate) gpus: Vec<GpuSlot>,
    /// Seconds that it took in earlier runs.
    pub(crate) expected: Option<f64>,
    /// Why somebody needs its bytes, and not only its digests.
    pub(crate) demand: Option<Reason>,
}

/// What is going on with a job.
#[derive(Debug, Default)]
pub(crate) enum Phase {
    /// Jobs above it are not done.
    #[default]
    Waiting,
    /// A worker looks it up.
    Deciding,
    /// It waits for slots, for the device, or for a job with the same key.
    Queued(Box<Resolved>),
    /// A worker computes it.
    Running,
    /// Its result is known.
    Done,
    /// It failed, or will not be started.
    Over,
}

/// Everything about a job in a run.
#[derive(Debug, Default)]
pub(crate) struct JobStatus {
    pub(crate) phase: Phase,
    /// Results that it waits for.
    pub(crate) pending: usize,
    /// Jobs that wait for its result.
    pub(crate) waiters: Vec<usize>,
    /// Somebody needs its bytes.
    pub(crate) demand: Option<Reason>,
    /// It was computed again for its bytes in this run.
    pub(crate) recomputed: bool,
    /// What was decided.
    pub(crate) state: Option<JobState>,
    /// Key and canonical text of its action.
    pub(crate) action: Option<(Key, String)>,
    /// Its result.
    pub(crate) done: Option<Arc<Done>>,
    /// How it ended.
    pub(crate) outcome: Option<JobOutcome>,
    /// What the engine has to say.
    pub(crate) remarks: Vec<String>,
    /// Its outputs that are at their paths.
    pub(crate) outputs: Vec<OutputRecord>,
    /// It was computed, and somebody asked to stop before all outputs were at their paths.
    pub(crate) stopped: bool,
    /// Why it failed.
    pub(crate) failure: Option<NodeError>,
    /// Why it was not started.
    pub(crate) because: Option<String>,
}
