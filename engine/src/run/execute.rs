//! Computing one job: inputs, the key's lock, a second look into the store, attempts, and publishing.

use std::collections::BTreeMap;

use celldag_cache::{Failure, Lookup, Partial, PublishState, RecordMeta};
use serde_json::Value;

use super::Context;
use super::attempt::{Attempt, attempt, is_transient};
use super::deliver::{Undelivered, deliver};
use super::inputs::{NoInputs, inputs};
use super::job::Limits;
use crate::error::{ExitClass, store_failure};
use crate::events::RunEvent;
use crate::plan::{Done, Found, Reason, Resolved, found};
use crate::record::OutputRecord;
use crate::resume::forget;
use crate::step::{FailureCause, Input, NodeError, Summary};

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
    threads: usize,
) -> Executed {
    // Before the lock: nobody should wait for a job that cannot start.
    let inputs = match inputs(ctx, index) {
        Ok(inputs) => inputs,
        Err(NoInputs::Bytes(producers)) => return Executed::NeedsBytes(producers),
        Err(NoInputs::Failed(e)) => return Executed::Failed(e),
    };
    compute(ctx, index, resolved, &inputs, limits, threads).unwrap_or_else(|e| {
        remember(ctx, resolved, &e);
        Executed::Failed(e)
    })
}

fn compute(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    inputs: &BTreeMap<String, Vec<Input>>,
    limits: &Limits,
    threads: usize,
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
    if !ctx.selection.forced[index]
        && let Lookup::Hit(record) =
            store.lookup(&resolved.key, resolved.text.as_bytes()).map_err(|e| store_failure(&e))?
    {
        drop(lock);
        let found = found(&record, Vec::new());
        return Ok(match deliver(ctx, index, &found.done) {
            Ok(outputs) => Executed::Reused { found, outputs },
            Err(undelivered) => Executed::Failed(undeliverable(undelivered)),
        });
    }
    for source in &resolved.sources {
        ctx.resolver.sources.unchanged(source)?;
    }
    ctx.log.tell(RunEvent::Started {
        job: job.id.clone(),
        node: job.node.clone(),
        kind: job.kind.spec.name.to_owned(),
    });
    let partial = store.partial(&lock);
    if ctx.selection.forced[index] {
        // Whoever forces it does not want what was computed before.
        forget(partial.as_ref());
    }
    let result = attempts(ctx, index, resolved, (inputs, partial.as_ref()), limits, threads)?;
    for source in &resolved.sources {
        ctx.resolver.sources.unchanged(source)?;
    }
    let (done, remarks) = publish(ctx, resolved, result)?;
    // Not before: a kill in between would cost all the work.
    forget(partial.as_ref());
    drop(partial);
    drop(lock);
    // The result is published: what happens to a copy of it is not a failure of the action.
    Ok(match deliver(ctx, index, &done) {
        Ok(outputs) => Executed::Ran { done, remarks, outputs },
        Err(undelivered) => Executed::Failed(undeliverable(undelivered)),
    })
}

/// Tries again after transient failures, as often as the pipeline allows.
fn attempts(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    from: (&BTreeMap<String, Vec<Input>>, Option<&Partial<'_>>),
    limits: &Limits,
    threads: usize,
) -> Result<Attempt, NodeError> {
    let job = &ctx.resolver.pipeline.jobs[index];
    let mut number = 1;
    loop {
        match attempt(ctx, index, resolved, from, limits, threads) {
            Err(e) if number <= job.retries && is_transient(&e) && !limits.cancel.is_cancelled() => {
                number += 1;
                ctx.log.tell(RunEvent::Retrying { job: job.id.clone(), attempt: number, message: e.message });
            }
            other => return other,
        }
    }
}

fn publish(
    ctx: &Context<'_>,
    resolved: &Resolved,
    result: Attempt,
) -> Result<(Done, Vec<String>), NodeError> {
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
    let published = store
        .publish(&resolved.key, resolved.text.as_bytes(), &outputs, meta)
        .map_err(|e| store_failure(&e))?;
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
    Ok((Done { seconds, ..Done::of_record(&published.record) }, remarks))
}

fn undeliverable(undelivered: Undelivered) -> NodeError {
    match undelivered {
        Undelivered::Failed(e) => e,
        // The bytes were there a moment ago: the disk, or somebody who deletes in the store.
        Undelivered::Bytes(reason) => {
            NodeError::failed(format!("the result vanished from the store right after it was made: {reason}"))
                .help("check the disk, and that no other program cleans up in the folder of the store")
        }
    }
}

fn remember(ctx: &Context<'_>, resolved: &Resolved, error: &NodeError) {
    if error.cause == FailureCause::Cancelled {
        return;
    }
    let cause = format!("{:?}", ExitClass::from(error.cause)).to_lowercase();
    let failure = Failure::now(cause, error.message.clone(), error.help.clone());
    if let Err(e) = ctx.resolver.store.remember_failure(&resolved.key, &failure) {
        tracing::debug!("a failure is not remembered: {e}");
    }
}
