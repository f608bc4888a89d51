//! The worker threads: each takes tasks, looks jobs up or computes them, and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, PoisonError};

use celldag_cache::Failure;

use super::Context;
use super::attempt::panicked;
use super::execute::{Executed, execute};
use super::job::{Grant, Limits};
use super::look::{Look, look};
use crate::plan::{Found, Reason, Resolution, Resolved};
use crate::record::OutputRecord;
use crate::step::{FailureCause, NodeError};

/// What a worker is asked to do.
pub(crate) enum Task {
    /// Look a job up.
    Decide {
        /// The job.
        job: usize,
        /// Why its bytes are needed, if they are.
        demand: Option<Reason>,
    },
    /// Compute a job.
    Execute {
        /// The job.
        job: usize,
        /// Its action.
        resolved: Box<Resolved>,
        /// Stops it.
        limits: Limits,
        /// What it may use.
        grant: Grant,
    },
}

/// What a look-up found.
#[derive(Debug)]
pub(crate) enum Decided {
    /// A result, delivered.
    Hit {
        /// Its action.
        resolved: Box<Resolved>,
        /// The result.
        found: Found,
        /// Its outputs at their paths.
        outputs: Vec<OutputRecord>,
    },
    /// Nothing usable.
    Run {
        /// The action.
        resolved: Box<Resolved>,
        /// Why it has to be computed.
        reasons: Vec<Reason>,
    },
    /// It failed before, and is not tried again.
    FailedBefore {
        /// The action.
        resolved: Box<Resolved>,
        /// What is remembered.
        failure: Failure,
    },
    /// The job cannot be looked up.
    Failed(NodeError),
}

/// An answer.
pub(crate) enum Reply {
    /// To [`Task::Decide`].
    Decided(usize, Decided),
    /// To [`Task::Execute`], with the action for those who need it again.
    Executed(usize, Box<Resolved>, Executed),
}

/// Takes tasks until there are no more.
pub(crate) fn work(ctx: &Context<'_>, tasks: &Mutex<Receiver<Task>>, replies: &Sender<Reply>) {
    loop {
        let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let reply = match task {
            Err(_) => return,
            Ok(Task::Decide { job, demand }) => {
                let decided = guarded(ctx, job, || decide(ctx, job, demand));
                Reply::Decided(job, decided.unwrap_or_else(Decided::Failed))
            }
            Ok(Task::Execute { job, resolved, limits, grant }) => {
                let executed = guarded(ctx, job, || execute(ctx, job, &resolved, &limits, &grant));
                Reply::Executed(job, resolved, executed.unwrap_or_else(Executed::Failed))
            }
        };
        if replies.send(reply).is_err() {
            return;
        }
    }
}

/// Every task gets an answer, or the run would wait for it forever: kinds may also panic where they only look at files.
fn guarded<T>(ctx: &Context<'_>, job: usize, task: impl FnOnce() -> T) -> Result<T, NodeError> {
    catch_unwind(AssertUnwindSafe(task))
        .map_err(|panic| panicked(ctx.resolver.pipeline.jobs[job].kind.spec.name, &*panic))
}

fn decide(ctx: &Context<'_>, job: usize, demand: Option<Reason>) -> Decided {
    let resolved = match ctx.resolver.resolve(job) {
        Ok(Resolution::Ready(resolved)) => resolved,
        Ok(Resolution::Waiting { inputs, .. }) => {
            let message = format!("looked up before its inputs were known: {}", inputs.join(", "));
            return Decided::Failed(NodeError::failed(message));
        }
        Err(_) if ctx.resolver.sources.cancelled() => {
            return Decided::Failed(NodeError::new(
                FailureCause::Cancelled,
                "stopped while it was looked up",
            ));
        }
        Err(problems) => {
            let lines = problems.iter().map(|p| match p.port.as_str() {
                "" => p.message.clone(),
                port => format!("input `{port}`: {}", p.message),
            });
            let mut error = NodeError::data(lines.collect::<Vec<_>>().join("\n"));
            error.help = problems.iter().find_map(|p| p.help.clone());
            return Decided::Failed(error);
        }
    };
    match look(ctx, job, &resolved, demand) {
        Ok(Look::Usable(found, outputs)) => Decided::Hit { resolved, found, outputs },
        Ok(Look::Run(reasons)) => Decided::Run { resolved, reasons },
        Ok(Look::FailedBefore(failure)) => Decided::FailedBefore { resolved, failure },
        Err(e) => Decided::Failed(e),
    }
}
