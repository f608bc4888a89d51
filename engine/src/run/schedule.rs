//! Which queued job may start now: CPU slots and the one queue of the compute device. Pure bookkeeping, no threads.

use std::collections::BTreeMap;

/// What a job holds while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// CPU slots.
    pub(crate) slots: usize,
    /// Threads that the pipeline asks for.
    pub(crate) threads: Option<usize>,
    /// Waits in the queue of the device.
    pub(crate) device: bool,
}

/// Queue and slots.
#[derive(Debug)]
pub(crate) struct Schedule {
    slots: usize,
    threads: usize,
    queue: BTreeMap<usize, Need>,
    running: BTreeMap<usize, Need>,
}

impl Schedule {
    /// `slots` jobs at once, sharing `threads` CPU threads.
    pub(crate) fn new(slots: usize, threads: usize) -> Self {
        Self {
            slots: slots.max(1),
            threads: threads.max(1),
            queue: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    /// What a job needs. A job that asks for more slots than there are gets all of them, not none.
    pub(crate) fn need(&self, threads: Option<usize>, device: bool) -> Need {
        Need { slots: threads.unwrap_or(1).clamp(1, self.slots), threads, device }
    }

    /// The job may start when there is room.
    pub(crate) fn push(&mut self, job: usize, need: Need) {
        self.queue.insert(job, need);
    }

    /// The next job to start, and its threads. Jobs start in topological order, except that those which wait for the
    /// device let others pass. A job that waits for slots lets nobody pass, or wide jobs would wait forever.
    pub(crate) fn next(&mut self) -> Option<(usize, usize)> {
        let free = self.slots - self.running.values().map(|need| need.slots).sum::<usize>();
        let device_busy = self.running.values().any(|need| need.device);
        let (&job, &need) = self.queue.iter().find(|(_, need)| !(need.device && device_busy))?;
        if need.slots > free {
            return None;
        }
        self.queue.remove(&job);
        self.running.insert(job, need);
        // Jobs that could start at once share the threads; a lonely job gets all of them.
        let company = (self.running.len() + self.queue.len()).clamp(1, self.slots);
        Some((job, need.threads.unwrap_or((self.threads / company).max(1))))
    }

    /// The job runs no more.
    pub(crate) fn done(&mut self, job: usize) {
        self.running.remove(&job);
    }

    /// Nothing that is queued will start.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_jobs_run_one_at_a_time_and_let_others_pass() {
        let mut schedule = Schedule::new(3, 3);
        for job in 0..4 {
            schedule.push(job, schedule.need(None, job < 2));
        }
        assert_eq!(schedule.next().map(|n| n.0), Some(0));
        assert_eq!(schedule.next().map(|n| n.0), Some(2), "1 waits for the device");
        assert_eq!(schedule.next().map(|n| n.0), Some(3));
        assert_eq!(schedule.next(), None);
        schedule.done(0);
        assert_eq!(schedule.next().map(|n| n.0), Some(1));
    }

    #[test]
    fn wide_jobs_hold_their_slots_and_do_not_starve() {
        let mut schedule = Schedule::new(4, 8);
        schedule.push(0, schedule.need(Some(3), false));
        schedule.push(1, schedule.need(Some(2), false));
        schedule.push(2, schedule.need(None, false));
        assert_eq!(schedule.next(), Some((0, 3)));
        assert_eq!(schedule.next(), None, "1 needs two slots, and 2 must not pass it");
        schedule.done(0);
        assert_eq!(schedule.next(), Some((1, 2)));
        assert_eq!(schedule.next().map(|n| n.0), Some(2));
        schedule.done(1);
        schedule.done(2);
        schedule.push(3, schedule.need(Some(64), false));
        assert_eq!(schedule.next(), Some((3, 64)), "more than there is takes all slots");
        schedule.push(4, schedule.need(None, false));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_lonely_job_gets_all_threads_and_company_shares() {
        let mut schedule = Schedule::new(2, 8);
        schedule.push(0, schedule.need(None, false));
        assert_eq!(schedule.next(), Some((0, 8)));
        schedule.done(0);
        for job in 1..5 {
            schedule.push(job, schedule.need(None, false));
        }
        assert_eq!(schedule.next(), Some((1, 4)));
        assert_eq!(schedule.next(), Some((2, 4)));
    }
}
