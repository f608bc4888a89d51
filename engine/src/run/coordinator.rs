//! The loop of a run: one thread that knows where every job stands, and tells workers what to do next.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use celldag_cache::Key;

use super::Context;
use super::capacity::Capacity;
use super::history::History;
use super::job::{Grant, JobStatus, Limits, Phase};
use super::rank::ranks;
use super::schedule::{Schedule, Start};
use super::temporary::Temporaries;
use super::worker::{Reply, Task, work};
use crate::step::{Cancel, NodeError};

/// How often the interrupt flag and timeouts are looked at.
const TICK: Duration = Duration::from_millis(25);

/// Jobs that could start wait this long for look-ups that are under way: what they find may be more urgent.
const GRACE: Duration = Duration::from_millis(100);

/// Threads for look-ups beyond as many as compute. They have threads of their own: hits do not wait behind long jobs, and jobs
/// not behind look-ups that hash large inputs or wait for a server.
const LOOKERS: usize = 2;

/// More jobs at once than any machine serves; each costs a thread.
const MAX_SLOTS: usize = 256;

/// Runs all jobs asked for; returns where each ended.
///
/// # Errors
/// When the system gives no threads.
pub(crate) fn coordinate(ctx: &Context<'_>, cancel: &Cancel) -> std::io::Result<Vec<JobStatus>> {
    let (job_sender, jobs) = mpsc::channel();
    let (look_sender, looks) = mpsc::channel();
    let (jobs, looks) = (Mutex::new(jobs), Mutex::new(looks));
    let (reply_sender, replies) = mpsc::channel();
    let workers = slots(ctx).min(ctx.selection.jobs().count());
    std::thread::scope(|scope| {
        let start = |number: usize| {
            let tasks = if number < workers { &jobs } else { &looks };
            let replies = reply_sender.clone();
            let thread = std::thread::Builder::new().name(format!("celldag-worker-{number}"));
            thread.spawn_scoped(scope, move || work(ctx, tasks, &replies)).map(drop)
        };
        // With fewer threads the work takes longer. Without one of either sort it would never end.
        let (first, all) = ([0, workers], 0..2 * workers + LOOKERS);
        first.into_iter().try_for_each(start)?;
        for number in all.filter(|number| !first.contains(number)) {
            if let Err(e) = start(number) {
                tracing::warn!("worker thread {number} cannot be started: {e}");
            }
        }
        drop(reply_sender);
        let mut coordinator = Coordinator::new(ctx, (job_sender, look_sender));
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
        Ok(coordinator.finish())
    })
}

/// Slots as asked for, within reason. Not cut to the number of jobs: a job of several threads holds several.
fn slots(ctx: &Context<'_>) -> usize {
    ctx.options.jobs.clamp(1, MAX_SLOTS)
}

/// In which order jobs start.
struct Order {
    history: History,
    ranks: Vec<u64>,
}

pub(super) struct Coordinator<'a> {
    pub(super) ctx: &'a Context<'a>,
    /// To the threads that compute.
    tasks: Sender<Task>,
    /// To the threads that look up.
    looks: Sender<Task>,
    pub(super) jobs: Vec<JobStatus>,
    schedule: Schedule,
    /// The schedule knows what GPUs there are.
    asked_for_gpus: bool,
    /// What earlier runs say about the jobs, and the order that follows; read when the first job is queued.
    order: OnceCell<Order>,
    /// Jobs that are computed.
    pub(super) running: BTreeMap<usize, Limits>,
    /// Jobs that can be looked up.
    pub(super) ready: Vec<usize>,
    /// Tasks that workers have not answered.
    in_flight: usize,
    /// Look-ups among them.
    looking: usize,
    /// Since when jobs could start and look-ups are waited for.
    held_since: Option<Instant>,
    /// Key that is queued or computed → jobs of the same key, which wait for it.
    pub(super) keys: BTreeMap<Key, Vec<usize>>,
    pub(super) temporaries: Temporaries,
    /// Why nothing new is started.
    pub(super) stop: Option<String>,
}

impl<'a> Coordinator<'a> {
    fn new(ctx: &'a Context<'a>, (tasks, looks): (Sender<Task>, Sender<Task>)) -> Self {
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
            looks,
            jobs,
            schedule: Schedule::new(Capacity {
                slots: slots(ctx),
                threads: ctx.options.threads,
                ram: ctx.options.ram,
                gpus: Vec::new(),
            }),
            asked_for_gpus: false,
            order: OnceCell::new(),
            running: BTreeMap::new(),
            ready,
            in_flight: 0,
            looking: 0,
            held_since: None,
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
                self.looking += 1;
                self.send(Task::Decide { job, demand });
            }
            // Once for look-ups that go on, not again for each job that ends meanwhile.
            if self.looking == 0 {
                self.held_since = None;
            } else if !self.schedule.is_empty() {
                self.held_since.get_or_insert_with(Instant::now);
            }
            if self.held_since.is_none_or(|since| since.elapsed() >= GRACE) {
                while let Some(start) = self.schedule.next() {
                    self.start(&start);
                }
            }
        }
        self.in_flight > 0
    }

    /// The job waits for its turn. Fails when it can never come, because the machine has too little.
    pub(super) fn queue(&mut self, job: usize) -> Result<(), NodeError> {
        let spec = &self.ctx.resolver.pipeline.jobs[job];
        if spec.uses_device && !self.asked_for_gpus {
            self.schedule.set_gpus(self.ctx.options.gpus.get().map_err(NodeError::clone)?.to_vec());
            self.asked_for_gpus = true;
        }
        let capacity = self.schedule.capacity();
        if let Some(refusal) = capacity.refusal(spec) {
            return Err(NodeError::memory(format!("it {}", refusal.why)).help(refusal.help));
        }
        let need = capacity.need(spec);
        let rank = self.order().ranks[job];
        self.schedule.push(job, rank, need);
        Ok(())
    }

    fn order(&self) -> &Order {
        self.order.get_or_init(|| {
            let resolver = &self.ctx.resolver;
            let history = if self.ctx.options.record {
                History::read(resolver.store, resolver.pipeline)
            } else {
                History::default()
            };
            Order { ranks: ranks(resolver.pipeline, &self.ctx.selection, &history), history }
        })
    }

    fn start(&mut self, start: &Start) {
        let job = start.job;
        let spec = &self.ctx.resolver.pipeline.jobs[job];
        let limits = Limits::new(spec.timeout);
        let gpus = &self.schedule.capacity().gpus;
        let grant = Grant {
            threads: start.threads,
            gpus: start.gpus.iter().map(|&gpu| gpus[gpu].clone()).collect(),
            expected: self.order().history.seconds(spec),
            demand: self.jobs[job].demand.clone(),
        };
        let phase = std::mem::replace(&mut self.jobs[job].phase, Phase::Running);
        if let Phase::Queued(resolved) = phase {
            self.running.insert(job, limits.clone());
            self.send(Task::Execute { job, resolved, limits, grant });
        }
    }

    fn send(&mut self, task: Task) {
        let threads = if matches!(task, Task::Decide { .. }) { &self.looks } else { &self.tasks };
        if threads.send(task).is_ok() {
            self.in_flight += 1;
        }
    }

    fn handle(&mut self, reply: Reply) {
        self.in_flight -= 1;
        match reply {
            Reply::Decided(job, decided) => {
                self.looking -= 1;
                self.decided(job, decided);
            }
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
        self.temporaries.drop_due(self.ctx);
        self.jobs
    }
}
