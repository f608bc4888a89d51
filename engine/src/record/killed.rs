//! A run whose process was killed could not say how it ended: what its events tell instead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::alive::is_alive;
use super::load::read_header;
use super::{LoggedEvent, RunHeader, RunStatus, follow_events};
use crate::error::ExitClass;
use crate::events::{Counts, RunEvent};
use crate::plan::JobState;

/// What the events of killed runs told, for who looks at a store again and again: those of a study take a second to read.
/// It holds a few numbers for each killed run of the store.
#[derive(Debug, Default)]
pub struct KilledRuns(Mutex<BTreeMap<PathBuf, Told>>);

/// What the events of a killed run told.
#[derive(Clone, Debug)]
struct Told {
    /// Bytes of the events: a log that grew tells something else.
    length: u64,
    counts: Counts,
    /// Time of the last event.
    last: Option<String>,
}

impl KilledRuns {
    /// Corrects a header that says `running` although no process runs it any more.
    pub(super) fn settle(&self, folder: &Path, header: &mut RunHeader) {
        if header.status != RunStatus::Running || is_alive(folder) {
            return;
        }
        // The run may have ended well since its header was read: it lets go of `alive` after it has written the last one.
        match read_header(folder) {
            Ok(ended) if ended.status != RunStatus::Running => {
                *header = ended;
                return;
            }
            _ => {}
        }
        header.status = RunStatus::Killed;
        header.exit = ExitClass::Interrupted;
        let Some(told) = self.told(folder, header.counts.jobs) else { return };
        header.counts = told.counts;
        let Some(last) = told.last else { return };
        if let (Ok(from), Ok(to)) = (header.started.parse::<Timestamp>(), last.parse::<Timestamp>()) {
            header.seconds = to.duration_since(from).as_secs_f64().max(0.0);
        }
    }

    /// Forgets runs that are not in the store any more.
    pub(super) fn keep(&self, folders: &BTreeSet<PathBuf>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|folder, _| folders.contains(folder));
    }

    /// One reader at a time: others find what it found.
    fn told(&self, folder: &Path, jobs: usize) -> Option<Told> {
        let length = fs_err::metadata(folder.join("events.jsonl")).ok()?.len();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = known.get(folder).filter(|told| told.length == length) {
            return Some(told.clone());
        }
        let mut seen = Seen::default();
        follow_events(folder, 0, &mut |event| seen.count(event)).ok()?;
        let told = Told { length, counts: seen.counts(jobs), last: seen.last };
        known.insert(folder.to_owned(), told.clone());
        Some(told)
    }
}

/// Jobs by how they ended, counted event by event.
#[derive(Default)]
struct Seen {
    ran: BTreeSet<String>,
    cached: BTreeSet<String>,
    failed: BTreeSet<String>,
    last: Option<String>,
}

impl Seen {
    fn count(&mut self, logged: &LoggedEvent) {
        self.last = Some(logged.time.clone());
        match &logged.event {
            RunEvent::Decided { job, state: JobState::Cached { .. }, .. } => self.cached.insert(job.clone()),
            RunEvent::Finished { job, .. } => self.ran.insert(job.clone()),
            RunEvent::Failed { job, .. } => self.failed.insert(job.clone()),
            _ => false,
        };
    }

    fn counts(&self, jobs: usize) -> Counts {
        let cached = self.cached.difference(&self.ran).count();
        let (ran, failed) = (self.ran.len(), self.failed.len());
        Counts { jobs, ran, cached, failed, skipped: jobs.saturating_sub(ran + cached + failed) }
    }
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
