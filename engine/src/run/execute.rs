//! Computing one job: inputs, the key's lock, a second look into the store, attempts, and publishing.

use std::collections::{BTreeMap, BTreeSet};

use celldag_cache::{Digest, Partial, PublishState, RecordMeta};
use serde_json::Value;

use super::Context;
use super::attempt::{Attempt, attempt};
use super::deliver::{Undelivered, deliver};
use super::inputs::{NoInputs, inputs};
use super::job::{Grant, Limits};
use super::look::{Look, look};
use super::retry::{Next, Tries, wait};
use crate::error::store_failure;
use crate::events::RunEvent;
use crate::plan::{Done, Found, Reason, Resolved, again, remember};
use crate::record::OutputRecord;
use crate::resume::forget;
use crate::step::{FailureCause, Input, NodeError, Outlook, Summary};

/// How computing a job ended.
#[derive(Debug)]
pub(crate) enum Executed {
    /// It was computed.
    Ran {
        /// Its result.
        done: Done,
        /// What the engine has to say about it.
        remarks: Vec<String>,
        /// Its outputs at their paths.
        outputs: Vec<OutputRecord>,
        /// Contents that the store did not have before.
        created: BTreeSet<Digest>,
        /// Somebody asked to stop before all of its outputs were at their paths.
        stopped: bool,
    },
    /// Somebody else was faster.
    Reused {
        /// Their result.
        found: Found,
        /// Its outputs at their paths.
        outputs: Vec<OutputRecord>,
    },
    /// Bytes of these jobs are gone; they have to run first.
    NeedsBytes(Vec<(usize, Reason)>),
    /// It failed.
    Failed(NodeError),
}

/// Computes a job that the store does not have.
pub(crate) fn execute(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    limits: &Limits,
    grant: &Grant,
) -> Executed {
    // Before the lock: nobody should wait for a job that cannot start.
    let inputs = match inputs(ctx, index) {
        Ok(inputs) => inputs,
        Err(NoInputs::Bytes(producers)) => {
            // Another process may have dropped temporary bytes because the result is there by now.
            return theirs(ctx, index, resolved, grant).unwrap_or(Executed::NeedsBytes(producers));
        }
        Err(NoInputs::Failed(e)) => return Executed::Failed(e),
    };
    compute(ctx, index, resolved, &inputs, limits, grant).unwrap_or_else(Executed::Failed)
}

fn compute(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    files: &BTreeMap<String, Vec<Input>>,
    limits: &Limits,
    grant: &Grant,
) -> Result<Executed, NodeError> {
    let store = ctx.resolver.store;
    let job = &ctx.resolver.pipeline.jobs[index];
    let mut waiting = || ctx.log.tell(RunEvent::Waiting { job: job.id.clone() });
    let lock = store
        .lock(&resolved.key, &mut waiting, &|| limits.cancel.is_cancelled())
        .map_err(|e| store_failure(&e))?;
    let Some(lock) = lock else {
        return Err(NodeError::new(
            FailureCause::Cancelled,
            "stopped while another process computed the result",
        ));
    };
    if let Some(reused) = theirs(ctx, index, resolved, grant) {
        drop(lock);
        return Ok(reused);
    }
    if !ctx.selection.forced[index]
        && let Some(failure) = ctx.resolver.failed_before(&resolved.key)
    {
        // There is a result whose bytes are needed again, and computing them has failed.
        return Err(again(&failure));
    }
    unchanged(ctx, resolved)?;
    ctx.log.tell(RunEvent::Started {
        job: job.id.clone(),
        node: job.node.clone(),
        kind: job.kind.spec.name.to_owned(),
        gpus: grant.gpus.iter().map(|gpu| gpu.device.clone()).collect(),
        expected_seconds: grant.expected,
    });
    let partial = store.partial(&lock);
    if ctx.selection.forced[index] {
        // Whoever forces it does not want what was computed before.
        forget(partial.as_ref());
    }
    let result = match attempts(ctx, index, resolved, (files, partial.as_ref()), limits, grant) {
        Ok(result) => result,
        // Another process has dropped temporary bytes under the node: that is no failure of its own.
        Err(_)
            if gone(files)
                && let Err(NoInputs::Bytes(producers)) = inputs(ctx, index) =>
        {
            return Ok(Executed::NeedsBytes(producers));
        }
        Err(e) => return Err(e),
    };
    unchanged(ctx, resolved)?;
    let (done, mut remarks, created) = publish(ctx, index, resolved, result)?;
    // Not before: a kill in between would cost all the work.
    forget(partial.as_ref());
    drop(partial);
    drop(lock);
    // The result is published: what happens to a copy of it is not a failure of the action.
    Ok(match deliver(ctx, index, &done) {
        Ok(outputs) => Executed::Ran { done, remarks, outputs, created, stopped: false },
        Err(Undelivered::Stopped(outputs)) => {
            remarks.push(
                "stopped before its outputs were at their paths; the next run finds them in the store"
                    .to_owned(),
            );
            Executed::Ran { done, remarks, outputs, created, stopped: true }
        }
        Err(Undelivered::Failed(e)) => Executed::Failed(e),
        // The bytes were there a moment ago: the disk, or somebody who deletes in the store.
        Err(Undelivered::Bytes(reason)) => Executed::Failed(
            NodeError::failed(format!(
                "the result vanished from the store right after it was made: {reason}"
            ))
            .help("check the disk, and that no other program cleans up in the folder of the store"),
        ),
    })
}

/// What another process has done since the job was looked up: published a result, or failed at it. `None` when it is up to us.
fn theirs(ctx: &Context<'_>, index: usize, resolved: &Resolved, grant: &Grant) -> Option<Executed> {
    match look(ctx, index, resolved, grant.demand.clone()) {
        Ok(Look::Usable(found, outputs)) => Some(Executed::Reused { found, outputs }),
        Ok(Look::FailedBefore(failure)) => Some(Executed::Failed(again(&failure))),
        Ok(Look::Run(_)) => None,
        Err(e) => Some(Executed::Failed(e)),
    }
}

/// Tries again after failures that may pass, as the pipeline allows, and remembers the last one.
fn attempts(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    from: (&BTreeMap<String, Vec<Input>>, Option<&Partial<'_>>),
    limits: &Limits,
    grant: &Grant,
) -> Result<Attempt, NodeError> {
    let job = &ctx.resolver.pipeline.jobs[index];
    let mut params = resolved.action.step_params(job);
    let mut tries = Tries::new();
    loop {
        let mut error = match attempt(ctx, index, resolved, from, limits, (grant, &params)) {
            Ok(mut ended) => {
                tries.state(&mut ended.summary.execution);
                return Ok(ended);
            }
            Err(error) => error,
        };
        let stopped = limits.cancel.is_cancelled();
        let next = tries.after(&error, job, &resolved.key, &params.0, ctx.options.backoff);
        match next {
            Next::Again(delay) if !stopped => {
                params.0.extend(tries.changed.clone());
                ctx.log.tell(RunEvent::Retrying {
                    job: job.id.clone(),
                    attempt: tries.number,
                    message: error.message,
                    wait_seconds: delay.as_secs_f64(),
                    changed: tries.changed.clone(),
                });
                wait(delay, &limits.cancel);
                if limits.cancel.is_cancelled() {
                    return Err(NodeError::new(FailureCause::Cancelled, "stopped before another attempt"));
                }
            }
            _ => {
                // A file that somebody is writing may well look bad: that says nothing about its next content.
                if error.outlook == Outlook::Lasting && (gone(from.0) || unchanged(ctx, resolved).is_err()) {
                    error.outlook = Outlook::Unknown;
                }
                remember(ctx.resolver.store, &resolved.key, &error, tries.number);
                return Err(error);
            }
        }
    }
}

/// Whether an input is no longer there.
fn gone(inputs: &BTreeMap<String, Vec<Input>>) -> bool {
    inputs.values().flatten().any(|input| !input.path.exists())
}

/// Fails when a file of the user is not what it was when the key was computed.
fn unchanged(ctx: &Context<'_>, resolved: &Resolved) -> Result<(), NodeError> {
    resolved.sources.iter().try_for_each(|source| ctx.resolver.sources.unchanged(source))
}

fn publish(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    result: Attempt,
) -> Result<(Done, Vec<String>, BTreeSet<Digest>), NodeError> {
    let Attempt { _sandbox, outputs, summary, seconds } = result;
    // Facts of the execution are kept apart: they are not part of the result.
    let stated = Summary { execution: serde_json::Map::new(), ..summary.clone() };
    let meta = RecordMeta {
        summary: serde_json::to_value(&stated).unwrap_or_default(),
        execution: Value::Object(summary.execution.clone()),
        seconds,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let store = ctx.resolver.store;
    let publishing = ctx.publishing.begin();
    let (key, action) = (&resolved.key, resolved.text.as_bytes());
    let published = if ctx.resolver.pipeline.jobs[index].temporary {
        store.publish_temporary(key, action, &outputs, meta, &ctx.note)
    } else {
        store.publish(key, action, &outputs, meta)
    }
    .map_err(|e| store_failure(&e))?;
    ctx.keep(index, &published.record.outputs);
    drop(publishing);
    // It works now; an old failure would only confuse.
    if let Err(e) = store.clear_failure(&resolved.key) {
        tracing::debug!("a remembered failure stays: {e}");
    }
    let told = |ports: &[String], which: &str| {
        format!(
            "not deterministic: the same action gave other bytes on {} than before; {which} are used",
            ports.join(", ")
        )
    };
    let remarks = match &published.state {
        PublishState::First | PublishState::Same => Vec::new(),
        PublishState::KeptOther(ports) => vec![told(ports, "the bytes published first")],
        PublishState::Replaced(ports) => vec![told(ports, "the new bytes")],
    };
    Ok((Done { seconds, ..Done::of_record(&published.record) }, remarks, published.created))
}
