//! Failures of the engine itself (a node's own failure is a [`NodeError`]) and the exit codes of DESIGN 4.

use std::path::PathBuf;

use celldag_cache::StoreError;
use serde::{Deserialize, Serialize};

use crate::step::{FailureCause, NodeError, Outlook};

/// How a command ends; the numbers are a contract with scripts and workflow managers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitClass {
    /// 0.
    #[default]
    Ok,
    /// 1: a node failed.
    Failed,
    /// 2: bad arguments or pipeline.
    Usage,
    /// 3: bad or missing input data.
    Data,
    /// 4: device or memory.
    Device,
    /// 130: interrupted by the user.
    Interrupted,
}

impl ExitClass {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Data => 3,
            Self::Device => 4,
            Self::Interrupted => 130,
        }
    }

    /// The class of several results together. An interrupt outranks everything, since the rest is then incomplete; a
    /// fault of a node outranks the causes that a user can mend.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |class: Self| match class {
            Self::Ok => 0,
            Self::Usage => 1,
            Self::Data => 2,
            Self::Device => 3,
            Self::Failed => 4,
            Self::Interrupted => 5,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<FailureCause> for ExitClass {
    fn from(cause: FailureCause) -> Self {
        match cause {
            FailureCause::Failed => Self::Failed,
            FailureCause::Parameter => Self::Usage,
            FailureCause::Data => Self::Data,
            FailureCause::Device | FailureCause::Lost | FailureCause::Memory => Self::Device,
            FailureCause::Cancelled => Self::Interrupted,
        }
    }
}

/// An input of the user that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputProblem {
    /// The job that wants it.
    pub job: String,
    /// The port that it stands on; empty when it is the program of the node that is missing.
    pub port: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl InputProblem {
    /// What is wrong, with job and port where there is one.
    fn line(&self) -> String {
        if self.port.is_empty() {
            return format!("{}: {}", self.job, self.message);
        }
        format!("input `{}` of {}: {}", self.port, self.job, self.message)
    }
}

/// An output that would destroy something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// `job.port`.
    pub output: String,
    /// Where it would go.
    pub path: PathBuf,
    /// What is there, in words: an input, the pipeline file, a table or another output.
    pub what: String,
}

/// A job that asks for more than the machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The job.
    pub job: String,
    /// What it asks for, and what there is.
    pub why: String,
    /// What to do about it.
    pub help: String,
}

/// A job without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncomputed {
    /// The job.
    pub job: String,
    /// What a plan says of it, with reasons.
    pub why: String,
}

/// How many of the jobs without a result a message names.
const NAMED: usize = 5;

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the engine (run folder) could not be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// `--only` or `--force` names nothing in the pipeline.
    #[error("the pipeline has no node `{name}`")]
    UnknownNode {
        /// As given.
        name: String,
        /// The nearest name, if one is near.
        nearest: Option<String>,
    },
    /// Files that the pipeline reads are missing or unusable; all of them.
    #[error("{}", inputs_message(.0))]
    Inputs(Vec<InputProblem>),
    /// Outputs would land on, inside or around what the run reads, or each other; all of them.
    #[error("{}", overwrites_message(.0))]
    Overwrites(Vec<Overwrite>),
    /// Jobs ask for more than the machine has; all of them.
    #[error("{}", resources_message(.0))]
    Resources(Vec<Shortage>),
    /// The store lacks results of a run that was to be imported; all of them.
    #[error("{}", uncomputed_message(*jobs, missing))]
    Uncomputed {
        /// Jobs of the pipeline.
        jobs: usize,
        /// Those without a result, in topological order.
        missing: Vec<Uncomputed>,
    },
    /// The user asked to stop before anything was computed.
    #[error("interrupted")]
    Interrupted,
    /// `numerics: strict` without knowing the device.
    #[error("`numerics: strict` needs the identity of the compute device, and none was given")]
    NoDeviceIdentity,
    /// No recorded run has this id.
    #[error("there is no run `{wanted}` in this store")]
    NoRun {
        /// As given.
        wanted: String,
    },
    /// Several recorded runs begin with the given text.
    #[error("`{wanted}` fits several runs: {}", .fits.join(", "))]
    AmbiguousRun {
        /// As given.
        wanted: String,
        /// The runs.
        fits: Vec<String>,
    },
    /// No job or node of that name in a run.
    #[error("run {run} has no job or node `{name}`")]
    NoJob {
        /// The run.
        run: String,
        /// As given.
        name: String,
        /// The nearest name, if one is near.
        nearest: Option<String>,
    },
    /// A file of a run record does not hold what it should.
    #[error("the run record {} cannot be read: {why}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

fn uncomputed_message(jobs: usize, missing: &[Uncomputed]) -> String {
    let mut text = format!("the store has no result of {} of {jobs} jobs", missing.len());
    for one in missing.iter().take(NAMED) {
        text.push_str(&format!("\n  {}: {}", one.job, one.why));
    }
    if missing.len() > NAMED {
        text.push_str(&format!("\n  and {} more", missing.len() - NAMED));
    }
    text
}

fn resources_message(problems: &[Shortage]) -> String {
    problems.iter().map(|p| format!("{} {}", p.job, p.why)).collect::<Vec<_>>().join("\n")
}

fn inputs_message(problems: &[InputProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(InputProblem::line).collect();
    lines.join("\n")
}

fn overwrites_message(problems: &[Overwrite]) -> String {
    let line =
        |p: &Overwrite| format!("output `{}` at {} would overwrite {}", p.output, p.path.display(), p.what);
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl EngineError {
    /// How a command that ends with this error exits.
    #[must_use]
    pub fn exit_class(&self) -> ExitClass {
        match self {
            Self::Store(_) | Self::Io(_) | Self::Record { .. } => ExitClass::Failed,
            Self::UnknownNode { .. }
            | Self::Overwrites(_)
            | Self::NoRun { .. }
            | Self::AmbiguousRun { .. }
            | Self::NoJob { .. } => ExitClass::Usage,
            Self::Inputs(_) | Self::Uncomputed { .. } => ExitClass::Data,
            Self::Interrupted => ExitClass::Interrupted,
            Self::NoDeviceIdentity | Self::Resources(_) => ExitClass::Device,
        }
    }

    /// What to do about it, where the message does not say so itself.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownNode { nearest, .. } => {
                nearest.as_ref().map(|name| format!("did you mean `{name}`?"))
            }
            Self::NoJob { nearest, run, .. } => Some(match nearest {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("`celldag runs show {run}` lists its jobs"),
            }),
            Self::NoRun { .. } => {
                Some("`celldag runs` lists the recorded runs; `last` is the newest".to_owned())
            }
            Self::AmbiguousRun { .. } => Some("give more of the id".to_owned()),
            Self::Inputs(problems) => problems.iter().find_map(|p| p.help.clone()),
            Self::Resources(problems) => problems.first().map(|p| p.help.clone()),
            Self::Uncomputed { .. } => Some(
                "let the workflow finish, with the store that --cache names here; `celldag plan` explains every job"
                    .to_owned(),
            ),
            Self::Overwrites(_) => {
                Some("give every output a path of its own, away from what is read: results/...".to_owned())
            }
            Self::Record { .. } => Some("delete the folder of the run; results are not affected".to_owned()),
            Self::Store(_) | Self::Io(_) | Self::NoDeviceIdentity | Self::Interrupted => None,
        }
    }
}

/// How a failure of the store looks from a node: a full disk or a broken store is nobody's data error.
pub(crate) fn store_failure(error: &StoreError) -> NodeError {
    let cause = match error {
        StoreError::Changed { .. } => FailureCause::Data,
        StoreError::Cancelled { .. } => FailureCause::Cancelled,
        _ => FailureCause::Failed,
    };
    NodeError::new(cause, error.to_string()).outlook(Outlook::Unknown)
}
