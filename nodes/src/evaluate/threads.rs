//! The threads that a node may use, for loops that run in parallel.

use celldag_engine::{NodeError, Step};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of the step's threads, at most `most`.
///
/// # Errors
/// When the system gives no threads.
pub(super) fn pool(step: &Step<'_>, most: usize) -> Result<ThreadPool, NodeError> {
    ThreadPoolBuilder::new()
        .num_threads(step.threads.clamp(1, most))
        .build()
        .map_err(|e| NodeError::failed(e.to_string()))
}
