//! A look into the store: is there a result that will do?

use celldag_cache::Failure;

use super::Context;
use super::deliver::{Undelivered, deliver};
use crate::error::{EngineError, store_failure};
use crate::plan::{Decision, Found, Reason, Resolved};
use crate::record::OutputRecord;
use crate::step::{FailureCause, NodeError};

/// What was found.
pub(crate) enum Look {
    /// A result, with its outputs at their paths.
    Usable(Found, Vec<OutputRecord>),
    /// Nothing usable, and why.
    Run(Vec<Reason>),
    /// It failed before, and is not tried again.
    FailedBefore(Failure),
}

/// Looks a job up, and delivers what it finds. A result without its bytes will do if nobody needs them: neither whoever makes
/// this `demand`, nor the user, for whom the job's result is what the pipeline is for.
///
/// # Errors
/// When the store cannot be read, or an output cannot be written to its path.
pub(crate) fn look(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    demand: Option<Reason>,
) -> Result<Look, NodeError> {
    // Until it is known who keeps what is found, no other job drops it.
    let looking = ctx.publishing.begin();
    let found = match ctx.resolver.decide(index, resolved, ctx.selection.forced[index]) {
        Ok(Decision::Found(found)) => found,
        Ok(Decision::Run(reasons)) => return Ok(Look::Run(reasons)),
        Ok(Decision::Failed(failure)) => return Ok(Look::FailedBefore(failure)),
        Err(EngineError::Store(e)) => return Err(store_failure(&e)),
        Err(e) => return Err(NodeError::failed(e.to_string())),
    };
    let wanted = demand.filter(|_| !found.absent.is_empty());
    let lost = || found.absence(&[]).filter(|_| ctx.selection.is_result(ctx.resolver.pipeline, index));
    if let Some(reason) = wanted.or_else(lost) {
        return Ok(Look::Run(vec![reason]));
    }
    ctx.keep(index, &found.done.artifacts);
    drop(looking);
    match deliver(ctx, index, &found.done) {
        Ok(outputs) => Ok(Look::Usable(found, outputs)),
        Err(Undelivered::Bytes(reason)) => Ok(Look::Run(vec![reason])),
        Err(Undelivered::Failed(e)) => Err(e),
        Err(Undelivered::Stopped(_)) => {
            Err(NodeError::new(FailureCause::Cancelled, "stopped before the result was at its path"))
        }
    }
}
