//! The bytes that a job reads: the user's own files, and checked blobs of the store.

use std::collections::BTreeMap;

use celldag_cache::StoreError;

use super::Context;
use crate::error::store_failure;
use crate::pipeline::Source;
use crate::plan::Reason;
use crate::step::{Input, NodeError};

/// Why a job cannot start.
#[derive(Debug)]
pub(crate) enum NoInputs {
    /// Bytes of these jobs are gone or damaged; they have to run first.
    Bytes(Vec<(usize, Reason)>),
    /// Anything else.
    Failed(NodeError),
}

/// Port → artifacts, sorted by label, each checked against its digest at first use in this process.
pub(crate) fn inputs(ctx: &Context<'_>, index: usize) -> Result<BTreeMap<String, Vec<Input>>, NoInputs> {
    let job = &ctx.resolver.pipeline.jobs[index];
    let mut ports: BTreeMap<String, Vec<Input>> = BTreeMap::new();
    let mut gone: Vec<(usize, Reason)> = Vec::new();
    for input in &job.inputs {
        let (path, digest) = match &input.source {
            Source::Path(path) => {
                let source = ctx.resolver.sources.digest(job, &input.port, path).map_err(NoInputs::Failed)?;
                (path.clone(), source.digest)
            }
            Source::Job { job: above, port } => {
                let done = ctx.resolver.results.get(*above);
                let Some(artifact) = done.and_then(|done| done.artifacts.get(port).copied()) else {
                    let message = format!("input `{}` of {} has no result above it", input.port, job.id);
                    return Err(NoInputs::Failed(NodeError::failed(message)));
                };
                match ctx.resolver.store.fetch(&artifact) {
                    Ok(path) => (path, artifact.digest),
                    Err(e) if e.needs_recompute() => {
                        if !gone.iter().any(|(known, _)| known == above) {
                            gone.push((*above, reason(&e, port, &job.id)));
                        }
                        continue;
                    }
                    Err(e) => return Err(NoInputs::Failed(store_failure(&e))),
                }
            }
        };
        let input_of = Input { label: input.label.clone(), path, digest: digest.to_string() };
        ports.entry(input.port.clone()).or_default().push(input_of);
    }
    if !gone.is_empty() {
        return Err(NoInputs::Bytes(gone));
    }
    for list in ports.values_mut() {
        list.sort_by(|a, b| a.label.cmp(&b.label));
    }
    Ok(ports)
}

fn reason(error: &StoreError, port: &str, by: &str) -> Reason {
    match error {
        StoreError::Damaged { why, .. } => Reason::Damaged { what: why.clone() },
        _ => Reason::Removed.wanted_by(port, by),
    }
}
