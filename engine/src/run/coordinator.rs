//! The loop of a run: one thread that knows where every job stands, and tells workers what to do next.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use celldag_cache::Key;

use super::Context;
use super::job::{JobStatus, Limits, Phase};
use super::schedule::Schedule;
use super::temporary::Temporaries;
use super::worker::{Reply, Task, work};
use crate::step::Cancel;

/// How often the interrupt flag and timeouts are looked at.
const TICK: Duration = Duration::from_millis(25);

/// Threads for look-ups besides those for computing, so that hits do not wait behind long jobs.
const LOOKERS: usize = 2;

/// More jobs at once than any machine serves; each costs a thread.
const MAX_SLOTS: usize = 256;

/// Runs all jobs asked for; returns where each ended.
pub(crate) fn coordinate(ctx: &Context<'_>, cancel: &Cancel) -> Vec<JobStatus> {
    let (task_sender, tasks) = mpsc::channel();
    let tasks = Mutex::new(tasks);
    let (reply_sender, replies) = mpsc::channel();
    let workers = slots(ctx).min(ctx.selection.jobs().count()) + LOOKERS;
    std::thread::scope(|scope| {
        for number in 0..workers {
            let (tasks, replies) = (&tasks, reply_sender.clone());
            let thread = std::thread::Builder::new().name(format!("celldag-worker-{number}"));
            if let Err(e) = thread.spawn_scoped(scope, move || work(ctx, tasks, &replies)) {
                tracing::warn!("worker thread {number} cannot be started: {e}");
            }
        }
        drop(reply_sender);
        let mut coordinator = Coordinator::new(ctx, task_sender);
        while coordinator.advance(cancel) {
            match replies.recv_timeout(TICK) {
                Ok(reply) => {
                    coordinator.handle(reply);
                    // Whatever else has come in; one look at the clock for many hits.
                    replies.try_iter().for_each(|reply| coordinator.handle(reply));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        coordinator.finish()
    })
}

/// Slots as asked for, within reason. Not cut to the number of jobs: a job of several threads holds several.
fn slots(ctx: &Context<'_>) -> usize {
    ctx.options.jobs.clamp(1, MAX_SLOTS)
}

pub(super) struct Coordinator<'a> {
    pub(super) ctx: &'a Context<'a>,
    tasks: Sender<Task>,
    pub(super) jobs: Vec<JobStatus>,
    pub(super) schedule: Schedule,
    /// Jobs that are computed.
    pub(super) running: BTreeMap<usize, Limits>,
    /// Jobs that can be looked up.
    pub(super) ready: Vec<usize>,
    /// Tasks that workers have not answered.
    in_flight: usize,
    /// Key that is queued or computed → jobs of the same key, which wait for it.
    pub(super) keys: BTreeMap<Key, Vec<usize>>,
    pub(super) temporaries: Temporaries,
    /// Why nothing new is started.
    pub(super) stop: Option<String>,
}

impl<'a> Coordinator<'a> {
    fn new(ctx: &'a Context<'a>, tasks: Sender<Task>) -> Self {
        let selection = &ctx.selection;
        let mut jobs: Vec<JobStatus> = selection.wanted.iter().map(|_| JobStatus::default()).collect();
        for index in selection.jobs() {
            jobs[index].waiters.clone_from(&selection.consumers[index]);
            for &consumer in &selection.consumers[index] {
                jobs[consumer].pending += 1;
            }
        }
        let ready = selection.jobs().filter(|&index| jobs[index].pending == 0).collect();
        Self {
            ctx,
            tasks,
            jobs,
            schedule: Schedule::new(slots(ctx), ctx.options.threads),
            running: BTreeMap::new(),
            ready,
            in_flight: 0,
            keys: BTreeMap::new(),
            temporaries: Temporaries::default(),
            stop: None,
        }
    }

    /// Starts what can start; `false` when there is nothing left to wait for.
    fn advance(&mut self, cancel: &Cancel) -> bool {
        if cancel.is_cancelled() && self.stop.is_none() {
            self.stop("interrupted");
        }
        for limits in self.running.values() {
            limits.check();
            if cancel.is_cancelled() {
                limits.cancel.cancel();
            }
        }
        if self.stop.is_none() {
            for job in std::mem::take(&mut self.ready) {
                self.jobs[job].phase = Phase::Deciding;
                let demand = self.jobs[job].demand.clone();
                self.send(Task::Decide { job, demand });
            }
            while let Some((job, threads)) = self.schedule.next() {
                let limits = Limits::new(self.ctx.resolver.pipeline.jobs[job].timeout);
                let phase = std::mem::replace(&mut self.jobs[job].phase, Phase::Running);
                if let Phase::Queued(resolved) = phase {
                    self.running.insert(job, limits.clone());
                    self.send(Task::Execute { job, resolved, limits, threads });
                }
            }
        }
        self.in_flight > 0
    }

    fn send(&mut self, task: Task) {
        if self.tasks.send(task).is_ok() {
            self.in_flight += 1;
        }
    }

    fn handle(&mut self, reply: Reply) {
        self.in_flight -= 1;
        match reply {
            Reply::Decided(job, decided) => self.decided(job, decided),
            Reply::Executed(job, resolved, executed) => {
                self.schedule.done(job);
                self.running.remove(&job);
                let twins = self.keys.remove(&resolved.key).unwrap_or_default();
                self.executed(job, executed);
                self.ready.extend(twins);
            }
        }
    }

    /// Starts nothing new from now on.
    pub(super) fn stop(&mut self, because: &str) {
        self.stop = Some(because.to_owned());
        self.schedule.clear();
        self.ready.clear();
    }

    /// Everything that never started is skipped.
    fn finish(mut self) -> Vec<JobStatus> {
        let because = self.stop.clone().unwrap_or_else(|| "what it waits for never came".to_owned());
        for job in self.ctx.selection.jobs() {
            if !matches!(self.jobs[job].phase, Phase::Done | Phase::Over) {
                self.over(job, &because);
            }
        }
        self.jobs
    }
}
