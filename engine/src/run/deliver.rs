//! Results at the paths where the user wants them.

use celldag_cache::StoreError;

use super::Context;
use crate::error::store_failure;
use crate::events::RunEvent;
use crate::plan::{Done, Reason, destination};
use crate::record::OutputRecord;
use crate::step::{FailureCause, NodeError};

/// Why an output could not be put at its path.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// Its bytes are gone or damaged: compute the job again.
    Bytes(Reason),
    /// Somebody asked to stop when only these were at their paths.
    Stopped(Vec<OutputRecord>),
    /// Anything else.
    Failed(NodeError),
}

/// Puts the outputs that `index` makes at their paths, as far as their content is not there already.
pub(crate) fn deliver(
    ctx: &Context<'_>,
    index: usize,
    done: &Done,
) -> Result<Vec<OutputRecord>, Undelivered> {
    let pipeline = ctx.resolver.pipeline;
    let job = &pipeline.jobs[index];
    let mut delivered = Vec::new();
    for &number in &ctx.selection.outputs[index] {
        let output = &pipeline.outputs[number];
        let path = destination(pipeline, ctx.options.out.as_deref(), output);
        let Some(artifact) = done.artifacts.get(&output.port) else {
            let message = format!("the result of {} has no output `{}`", job.id, output.port);
            return Err(Undelivered::Failed(NodeError::failed(message)));
        };
        // Asked first because it needs no bytes of the store.
        let Some(there) = ctx.resolver.sources.in_place(&path, artifact) else {
            return Err(Undelivered::Stopped(delivered));
        };
        if !there && ctx.options.import.is_some() {
            // The workflow manager has put it elsewhere.
            continue;
        }
        let changed = !there
            && match ctx.resolver.store.materialize(artifact, &path) {
                Ok(put) => put.written,
                Err(e) if e.is_cancelled() => return Err(Undelivered::Stopped(delivered)),
                Err(e) => return Err(undelivered(&e, &output.port, &path.display().to_string())),
            };
        ctx.log.tell(RunEvent::OutputWritten { job: job.id.clone(), path: path.clone(), changed });
        let (job, port) = (job.id.clone(), output.port.clone());
        delivered.push(OutputRecord { path, job, port, artifact: *artifact, changed });
    }
    Ok(delivered)
}

fn undelivered(error: &StoreError, port: &str, path: &str) -> Undelivered {
    match error {
        StoreError::Missing { .. } => Undelivered::Bytes(Reason::Removed.wanted_by(port, path)),
        StoreError::Damaged { why, .. } => Undelivered::Bytes(Reason::Damaged { what: why.clone() }),
        StoreError::Occupied { .. } => {
            Undelivered::Failed(NodeError::new(FailureCause::Parameter, error.to_string()))
        }
        other => Undelivered::Failed(store_failure(other)),
    }
}
