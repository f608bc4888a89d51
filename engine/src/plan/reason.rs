//! Why a job runs, in the user's words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::change::{Change, compare};

/// One reason for a job to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// No recorded run of this pipeline has the job.
    New,
    /// Something in its action changed since the last recorded run.
    Changed {
        /// What.
        change: Change,
    },
    /// Several artifacts on one gathering port changed.
    ManyInputs {
        /// The port.
        port: String,
        /// How many artifacts changed, came or went.
        changed: usize,
        /// How many stand on the port now.
        of: usize,
    },
    /// `--force`.
    Forced,
    /// Nothing changed, but the store has the result no more.
    Removed,
    /// The stored result is unusable.
    Damaged {
        /// What was found.
        what: String,
    },
    /// Nothing changed, and the last attempt failed.
    FailedBefore {
        /// First line of its message.
        message: String,
    },
    /// The result is known, but its bytes were dropped, and somebody needs them.
    BytesNeeded {
        /// The port whose bytes are needed.
        port: String,
        /// Who needs them: a job, or the path of an output.
        by: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Changed { change } => change.fmt(f),
            Self::ManyInputs { port, changed, of } => {
                write!(f, "input {port} changed ({changed} of {of} artifacts)")
            }
            Self::Forced => f.write_str("forced"),
            Self::Removed => f.write_str("result was removed"),
            Self::Damaged { what } => write!(f, "result damaged: {what}"),
            Self::FailedBefore { message } => write!(f, "failed before: {message}"),
            Self::BytesNeeded { port, by } => write!(f, "{by} needs the bytes of {port}, which were dropped"),
        }
    }
}

impl Reason {
    /// The reason that a removed result has when its bytes are needed; others stay.
    pub(crate) fn wanted_by(self, port: &str, by: &str) -> Self {
        match self {
            Self::Removed => Self::BytesNeeded { port: port.to_owned(), by: by.to_owned() },
            other => other,
        }
    }
}

/// More changed artifacts than this on one port are told as a count.
const NAMED_INPUTS: usize = 2;

/// The reasons that follow from comparing the action with the one last recorded for this job; empty when they agree.
pub(crate) fn reasons_of_change(last: Option<&Action>, now: &Action) -> Vec<Reason> {
    let Some(last) = last else { return vec![Reason::New] };
    let changes = compare(last, now);
    let on_port = |port: &str| {
        changes.iter().filter(|c| matches!(c, Change::Input { port: p, .. } if p == port)).count()
    };
    let mut reasons = Vec::new();
    for change in &changes {
        if let Change::Input { port, .. } = change {
            let changed = on_port(port);
            if changed > NAMED_INPUTS {
                let of = now.inputs.get(port).map_or(0, Vec::len);
                let summary = Reason::ManyInputs { port: port.clone(), changed, of };
                if reasons.last() != Some(&summary) {
                    reasons.push(summary);
                }
                continue;
            }
        }
        reasons.push(Reason::Changed { change: change.clone() });
    }
    reasons
}

/// Reasons in one line.
pub(crate) fn join(reasons: &[Reason]) -> String {
    let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
