//! What would happen to a job: the three states of a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::reason::{Reason, join};

/// What would happen, or did happen, to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// The result is in the store.
    Cached {
        /// Seconds since it was computed.
        age: f64,
        /// Seconds that computing it took.
        saved_seconds: f64,
    },
    /// The job will be computed.
    Runs {
        /// Why; never empty.
        reasons: Vec<Reason>,
    },
    /// Inputs are being computed; whether the job runs depends on their content.
    MayRun {
        /// The input ports that are being computed.
        inputs: Vec<String>,
        /// What is known already to differ from the last recorded run; [`Reason::New`] without one.
        reasons: Vec<Reason>,
    },
    /// The job will not run: it failed before in a way that lasts, or it needs a job that did. `--retry-failed` tries again.
    Fails {
        /// What failed.
        because: String,
    },
}

impl JobState {
    /// The state of a job that is not tried again after this failure.
    pub(crate) fn failed_before(message: &str) -> Self {
        let line = message.lines().next().unwrap_or_default();
        Self::Fails { because: format!("failed before: {line}") }
    }

    /// Whether nothing will be computed.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        matches!(self, Self::Cached { .. })
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cached { age, saved_seconds } => {
                write!(f, "cached {}, saved {}", ago(*age), duration(*saved_seconds))
            }
            Self::Fails { because } => write!(f, "fails: {because}"),
            Self::Runs { reasons } => write!(f, "runs: {}", join(reasons)),
            // Only somebody's need for its bytes makes a job with known inputs run.
            Self::MayRun { inputs, reasons } if inputs.is_empty() => write!(f, "may run: {}", join(reasons)),
            Self::MayRun { inputs, reasons } => {
                let (noun, verb) = if inputs.len() == 1 { ("input", "is") } else { ("inputs", "are") };
                let inputs = inputs.join(", ");
                match reasons.as_slice() {
                    [] => write!(f, "may run: {noun} {inputs} {verb} being recomputed"),
                    [Reason::New] => write!(f, "may run: new, {noun} {inputs} {verb} being computed"),
                    known => {
                        write!(f, "may run: {noun} {inputs} {verb} being recomputed; {}", join(known))
                    }
                }
            }
        }
    }
}

/// `2 minutes ago`.
#[must_use]
pub fn ago(seconds: f64) -> String {
    let (count, unit) = match seconds.max(0.0) {
        s if s < 5.0 => return "just now".to_owned(),
        s if s < 90.0 => (s, "second"),
        s if s < 90.0 * 60.0 => (s / 60.0, "minute"),
        s if s < 36.0 * 3600.0 => (s / 3600.0, "hour"),
        s => (s / 86_400.0, "day"),
    };
    let count = count.round() as u64;
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// `41 s`, `3.2 s`, `12 ms`, `7 min`, `2.5 h`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
