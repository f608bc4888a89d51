//! When jobs that failed were computed. They have no result that would tell, but events.

use std::collections::BTreeMap;

use crate::events::RunEvent;
use crate::record::{JobOutcome, RunRecord, read_events};

/// Job → begin of the first attempt and failure, RFC 3339. A job that failed before it began, as one whose failure was
/// known from an earlier run, took no time.
pub(super) fn times(run: &RunRecord) -> BTreeMap<String, (String, String)> {
    let mut times = BTreeMap::new();
    if run.jobs.iter().all(|job| job.outcome != JobOutcome::Failed) {
        return times;
    }
    // Without events there are no times: they are no reason to refuse an export.
    let events = read_events(&run.folder).unwrap_or_else(|e| {
        tracing::debug!("run {} has no times of failures: {e}", run.id());
        Vec::new()
    });
    let mut began: BTreeMap<String, String> = BTreeMap::new();
    for logged in events {
        match logged.event {
            RunEvent::Started { job, .. } => {
                began.entry(job).or_insert(logged.time);
            }
            RunEvent::Failed { job, .. } => {
                let from = began.get(&job).unwrap_or(&logged.time).clone();
                times.insert(job, (from, logged.time));
            }
            _ => {}
        }
    }
    times
}
