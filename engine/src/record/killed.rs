//! A run whose process was killed could not say how it ended: what its events tell instead.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::alive::is_alive;
use super::{LoggedEvent, RunHeader, RunStatus, read_events};
use crate::error::ExitClass;
use crate::events::{Counts, RunEvent};
use crate::plan::JobState;

/// Corrects a header that says `running` although no process runs it any more.
pub(super) fn settle(folder: &Path, header: &mut RunHeader) {
    if header.status != RunStatus::Running || is_alive(folder) {
        return;
    }
    header.status = RunStatus::Killed;
    header.exit = ExitClass::Interrupted;
    let Ok(events) = read_events(folder) else { return };
    header.counts = counts(&events, header.counts.jobs);
    let Some(last) = events.last().map(|event| &event.time) else { return };
    if let (Ok(from), Ok(to)) = (header.started.parse::<Timestamp>(), last.parse::<Timestamp>()) {
        header.seconds = to.duration_since(from).as_secs_f64().max(0.0);
    }
}

fn counts(events: &[LoggedEvent], jobs: usize) -> Counts {
    let (mut ran, mut cached, mut failed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for logged in events {
        match &logged.event {
            RunEvent::Decided { job, state: JobState::Cached { .. }, .. } => cached.insert(job),
            RunEvent::Finished { job, .. } => ran.insert(job),
            RunEvent::Failed { job, .. } => failed.insert(job),
            _ => false,
        };
    }
    let cached = cached.difference(&ran).count();
    let (ran, failed) = (ran.len(), failed.len());
    Counts { jobs, ran, cached, failed, skipped: jobs.saturating_sub(ran + cached + failed) }
}

/// Jobs that were being computed when the last event was written.
#[must_use]
pub fn unfinished(events: &[LoggedEvent]) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for logged in events {
        match &logged.event {
            RunEvent::Started { job, .. } if !open.contains(job) => open.push(job.clone()),
            RunEvent::Finished { job, .. } | RunEvent::Failed { job, .. } | RunEvent::Skipped { job, .. } => {
                open.retain(|running| running != job);
            }
            _ => {}
        }
    }
    open
}
