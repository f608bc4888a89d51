//! What the coordinator makes of the workers' answers: how a job's end moves the jobs around it.

use std::collections::BTreeSet;
use std::sync::Arc;

use celldag_cache::Digest;

use super::coordinator::Coordinator;
use super::execute::Executed;
use super::job::Phase;
use super::worker::Decided;
use crate::events::RunEvent;
use crate::exec::printed;
use crate::plan::{Done, JobState, Reason, Resolved, again};
use crate::record::{JobOutcome, OutputRecord};
use crate::step::{FailureCause, NodeError};

/// Outputs at their paths, and contents that the store did not have before.
type Written = (Vec<OutputRecord>, BTreeSet<Digest>);

impl Coordinator<'_> {
    /// A job was looked up.
    pub(super) fn decided(&mut self, job: usize, decided: Decided) {
        match decided {
            Decided::Failed(e) => self.failed(job, e),
            Decided::FailedBefore { resolved, failure } => {
                self.acted(job, &resolved);
                self.told(job, JobState::failed_before(&failure.message));
                self.failed(job, again(&failure));
            }
            Decided::Hit { resolved, found, outputs } => {
                self.acted(job, &resolved);
                self.told(job, found.state());
                // Of a job that was computed in this run and is looked up again, the first story is the true one.
                let outcome = self.jobs[job].outcome.unwrap_or(JobOutcome::Hit);
                self.finished(job, found.done, outcome, (outputs, BTreeSet::new()));
            }
            Decided::Run { resolved, reasons } => {
                self.acted(job, &resolved);
                if self.ctx.options.import.is_some() {
                    let message = "its result was removed from the store while the run was imported";
                    return self.failed(job, NodeError::failed(message).help("import it once more"));
                }
                if let Some(twins) = self.keys.get_mut(&resolved.key) {
                    twins.push(job);
                    self.jobs[job].phase = Phase::Waiting;
                    return;
                }
                self.told(job, JobState::Runs { reasons });
                if let Err(e) = self.queue(job) {
                    return self.failed(job, e);
                }
                self.keys.insert(resolved.key, Vec::new());
                self.jobs[job].phase = Phase::Queued(resolved);
            }
        }
    }

    pub(super) fn executed(&mut self, job: usize, executed: Executed) {
        match executed {
            Executed::Failed(e) => self.failed(job, e),
            Executed::Reused { found, outputs } => {
                self.told(job, found.state());
                self.finished(job, found.done, JobOutcome::Hit, (outputs, BTreeSet::new()));
            }
            Executed::NeedsBytes(producers) => self.needs(job, producers),
            Executed::Ran { done, remarks, outputs, created, stopped } => {
                let spec = &self.ctx.resolver.pipeline.jobs[job];
                for remark in &remarks {
                    self.ctx.log.tell(RunEvent::Warning { job: spec.id.clone(), message: remark.clone() });
                }
                self.ctx.log.tell(RunEvent::Finished {
                    job: spec.id.clone(),
                    node: spec.node.clone(),
                    seconds: done.seconds,
                    facts: done.summary.facts.clone(),
                });
                self.jobs[job].remarks.extend(remarks);
                self.jobs[job].stopped = stopped;
                self.finished(job, done, JobOutcome::Ran, (outputs, created));
            }
        }
    }

    /// The job's result is known: whoever waits for it may be ready.
    fn finished(&mut self, job: usize, done: Done, outcome: JobOutcome, (outputs, created): Written) {
        let id = &self.ctx.resolver.pipeline.jobs[job].id;
        if outcome == JobOutcome::Hit {
            printed::replay(id, &done.summary);
        }
        if self.jobs[job].done.is_none() {
            for message in &done.summary.warnings {
                self.ctx.log.tell(RunEvent::Warning { job: id.clone(), message: message.clone() });
            }
        }
        let done = Arc::new(done);
        self.ctx.resolver.results.set(job, Arc::clone(&done));
        let key = self.jobs[job].action.as_ref().map(|(key, _)| *key);
        self.temporaries.hold(self.ctx, job, &done, &created, key);
        let status = &mut self.jobs[job];
        status.phase = Phase::Done;
        status.outcome = Some(outcome);
        status.demand = None;
        status.done = Some(done);
        for output in outputs {
            match status.outputs.iter_mut().find(|known| known.path == output.path) {
                Some(known) => known.changed |= output.changed,
                None => status.outputs.push(output),
            }
        }
        for waiter in std::mem::take(&mut self.jobs[job].waiters) {
            let status = &mut self.jobs[waiter];
            status.pending -= 1;
            if status.pending == 0 && matches!(status.phase, Phase::Waiting) {
                self.ready.push(waiter);
            }
        }
        for dropped in self.temporaries.drop_above(self.ctx, &self.jobs, job) {
            // Not lost but given up: computing it once more is no sign of a bad disk.
            self.jobs[dropped].recomputed = false;
        }
    }

    /// A job found bytes gone: it waits for their producers, which run again, once each in a run.
    fn needs(&mut self, job: usize, producers: Vec<(usize, Reason)>) {
        let mut hopeless = None;
        for (producer, reason) in &producers {
            let status = &self.jobs[*producer];
            if matches!(status.phase, Phase::Over) {
                let id = &self.ctx.resolver.pipeline.jobs[*producer].id;
                return self.over(job, &format!("{id} failed"));
            }
            if matches!(status.phase, Phase::Done) && status.recomputed {
                hopeless = Some((*producer, reason.clone()));
            }
        }
        if let Some((producer, reason)) = hopeless {
            let id = &self.ctx.resolver.pipeline.jobs[producer].id;
            let message = format!("the result of {id} was computed again and is unusable again: {reason}");
            let error = NodeError::failed(message).help("check the disk, and run `celldag cache verify`");
            return self.failed(job, error);
        }
        self.jobs[job].phase = Phase::Waiting;
        for (producer, reason) in producers {
            let status = &mut self.jobs[producer];
            status.waiters.push(job);
            if matches!(status.phase, Phase::Done) {
                status.phase = Phase::Waiting;
                status.recomputed = true;
                status.demand = Some(reason);
                self.ready.push(producer);
            }
            self.jobs[job].pending += 1;
        }
    }

    fn failed(&mut self, job: usize, error: NodeError) {
        let spec = &self.ctx.resolver.pipeline.jobs[job];
        if error.cause == FailureCause::Cancelled {
            // Not the node's fault, and nothing to report about it.
            return self.over(job, "interrupted");
        }
        self.ctx.log.tell(RunEvent::Failed {
            job: spec.id.clone(),
            node: spec.node.clone(),
            class: error.cause.into(),
            message: error.message.clone(),
            help: error.help.clone(),
        });
        let status = &mut self.jobs[job];
        status.phase = Phase::Over;
        status.outcome = Some(JobOutcome::Failed);
        status.failure = Some(error);
        for waiter in std::mem::take(&mut self.jobs[job].waiters) {
            self.over(waiter, &format!("{} failed", spec.id));
        }
        if !self.ctx.options.keep_going && self.stop.is_none() {
            self.stop(&format!(
                "{} failed before; `--keep-going` goes on with what does not need it",
                spec.id
            ));
        }
    }

    /// The job will not be started, nor what waits for it.
    pub(super) fn over(&mut self, job: usize, because: &str) {
        let mut open = vec![job];
        while let Some(job) = open.pop() {
            if matches!(self.jobs[job].phase, Phase::Over) {
                continue;
            }
            let spec = &self.ctx.resolver.pipeline.jobs[job];
            let status = &mut self.jobs[job];
            status.phase = Phase::Over;
            status.outcome = Some(JobOutcome::Skipped);
            status.because = Some(because.to_owned());
            open.append(&mut status.waiters);
            self.ctx.log.tell(RunEvent::Skipped {
                job: spec.id.clone(),
                node: spec.node.clone(),
                because: because.to_owned(),
            });
        }
    }

    fn acted(&mut self, job: usize, resolved: &Resolved) {
        self.jobs[job].action = Some((resolved.key, resolved.text.clone()));
    }

    fn told(&mut self, job: usize, state: JobState) {
        let spec = &self.ctx.resolver.pipeline.jobs[job];
        let (id, node) = (spec.id.clone(), spec.node.clone());
        self.ctx.log.tell(RunEvent::Decided { job: id, node, state: state.clone() });
        self.jobs[job].state = Some(state);
    }
}
