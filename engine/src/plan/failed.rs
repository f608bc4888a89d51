//! What failed before, by key, and would fail again.
//!
//! Only failures that last count: bad data, parameters that do not fit, and whatever a kind itself says would fail again
//! ([`crate::step::Outlook::Lasting`]). A full disk, a missing program, a service that does not answer, a lost device, memory that
//! ran out, a timeout, an interrupt, a panic: all of them are tried again in the next run, and so is everything that
//! failed with another version of celldag.

use celldag_cache::{Failure, Key, Store};
use jiff::Timestamp;

use super::state::ago;
use crate::step::{FailureCause, NodeError, Outlook};

/// The lasting failure of an action.
pub(crate) fn failed_before(store: &Store, key: &Key) -> Option<Failure> {
    let failure = store.failure(key).unwrap_or_else(|e| {
        tracing::debug!("a remembered failure is left alone: {e}");
        None
    })?;
    (failure.lasting && failure.version == env!("CARGO_PKG_VERSION")).then_some(failure)
}

/// Remembers a failure, lasting or not: people look for it in the store.
pub(crate) fn remember(store: &Store, key: &Key, error: &NodeError, attempts: u32) {
    if error.cause == FailureCause::Cancelled {
        return;
    }
    let name = CAUSES.iter().find(|(cause, _)| *cause == error.cause).map_or("failed", |(_, name)| *name);
    let failure = Failure {
        attempts,
        lasting: error.outlook == Outlook::Lasting,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Failure::now(name, error.message.clone(), error.help.clone())
    };
    if let Err(e) = store.remember_failure(key, &failure) {
        tracing::debug!("a failure is not remembered: {e}");
    }
}

/// The remembered failure, told again.
pub(crate) fn again(failure: &Failure) -> NodeError {
    let cause = CAUSES
        .iter()
        .find(|(_, name)| *name == failure.cause)
        .map_or(FailureCause::Failed, |(cause, _)| *cause);
    let since = Timestamp::now().duration_since(failure.created).as_secs_f64();
    let when = format!(
        "it failed so {} on {} and nothing has changed, so it was not tried again; `--retry-failed` tries it",
        ago(since),
        failure.host
    );
    let help = failure.help.iter().cloned().chain([when]).collect::<Vec<_>>().join("\n");
    NodeError::new(cause, failure.message.clone()).help(help)
}

const CAUSES: [(FailureCause, &str); 7] = [
    (FailureCause::Failed, "failed"),
    (FailureCause::Parameter, "parameter"),
    (FailureCause::Data, "data"),
    (FailureCause::Device, "device"),
    (FailureCause::Lost, "lost"),
    (FailureCause::Memory, "memory"),
    (FailureCause::Cancelled, "cancelled"),
];
