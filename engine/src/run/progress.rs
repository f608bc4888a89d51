//! A node's progress as events, often enough for an eye and no more often.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::events::RunEvent;
use crate::pipeline::Job;
use crate::record::EventLog;
use crate::step::Progress;

/// Least time between two progress events of a job.
const EVERY: Duration = Duration::from_millis(100);

/// Counts units of one job.
pub(crate) struct JobProgress<'a> {
    job: &'a Job,
    log: &'a EventLog<'a>,
    done: AtomicU64,
    told: Mutex<Told>,
}

struct Told {
    at: Option<Instant>,
    done: u64,
    total: Option<(u64, &'static str)>,
}

impl<'a> JobProgress<'a> {
    pub(crate) fn new(job: &'a Job, log: &'a EventLog<'a>) -> Self {
        Self { job, log, done: AtomicU64::new(0), told: Mutex::new(Told { at: None, done: 0, total: None }) }
    }

    /// Tells the last units, which came too soon after an event.
    pub(crate) fn finish(&self) {
        if let Ok(mut told) = self.told.lock()
            && told.done < self.done.load(Ordering::Relaxed)
        {
            self.tell(&mut told);
        }
    }

    fn tell(&self, told: &mut Told) {
        told.at = Some(Instant::now());
        told.done = self.done.load(Ordering::Relaxed);
        self.log.tell(RunEvent::Progress {
            job: self.job.id.clone(),
            node: self.job.node.clone(),
            done: told.done,
            total: told.total.map(|(units, _)| units),
            unit: told.total.map_or("units", |(_, what)| what).to_owned(),
        });
    }
}

impl Progress for JobProgress<'_> {
    fn total(&self, units: u64, what: &'static str) {
        if let Ok(mut told) = self.told.lock() {
            told.total = Some((units, what));
            self.tell(&mut told);
        }
    }

    fn advance(&self, units: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
        // Who does not get the lock need not tell: somebody else is telling right now.
        if let Ok(mut told) = self.told.try_lock()
            && told.at.is_none_or(|at| at.elapsed() >= EVERY)
        {
            self.tell(&mut told);
        }
    }
}
