//! What a run tells while it goes on: one enum for the terminal, for `--json`, and for `events.jsonl`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ExitClass;
use crate::plan::JobState;

/// Version of the event lines, `v` of every line.
pub const EVENT_VERSION: u32 = 1;

/// Receives events, from several threads but one at a time, in the order in which they are written to `events.jsonl`. It should
/// return soon: the thread that calls it has work to do.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: &RunEvent);
}

/// Drops all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Observer for Quiet {
    fn event(&self, _event: &RunEvent) {}
}

/// How many jobs ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Jobs in all.
    pub jobs: usize,
    /// Computed.
    pub ran: usize,
    /// Taken from the store.
    pub cached: usize,
    /// Failed.
    pub failed: usize,
    /// Not started because of a failure or an interrupt.
    pub skipped: usize,
}

/// Something that happened in a run. `job` is the job's id, `node` its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// First event.
    RunStarted {
        /// Id of the run.
        run: String,
        /// Name of the pipeline.
        pipeline: String,
        /// Node and number of its jobs, in topological order.
        nodes: Vec<(String, usize)>,
        /// Device asked for.
        device: String,
    },
    /// It is known whether the job runs. May come twice for one job: a result that proves to be damaged when its
    /// bytes are needed is computed again.
    Decided {
        /// Job.
        job: String,
        /// Node.
        node: String,
        /// Cached, or why it runs or fails.
        state: JobState,
    },
    /// The node's work begins.
    Started {
        /// Job.
        job: String,
        /// Node.
        node: String,
        /// Kind.
        kind: String,
        /// Devices of the GPUs that it holds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gpus: Vec<String>,
        /// Seconds that it took in earlier runs, or that jobs of its node took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_seconds: Option<f64>,
    },
    /// How far the node is; at most ten times a second for a job.
    Progress {
        /// Job.
        job: String,
        /// Node.
        node: String,
        /// Units done.
        done: u64,
        /// Units in all, when known.
        total: Option<u64>,
        /// What the units are (`cells`).
        unit: String,
    },
    /// The node, or the engine about the node, warns. Warnings of cached results are repeated.
    Warning {
        /// Job.
        job: String,
        /// Text.
        message: String,
    },
    /// What the program of the job printed, in a run that keeps no record; otherwise it is a file of the record.
    Printed {
        /// Job.
        job: String,
        /// All of it; secrets are masked.
        text: String,
    },
    /// Another process computes the same thing; its result will be used.
    Waiting {
        /// Job.
        job: String,
    },
    /// A failure that may pass; the job is tried again.
    Retrying {
        /// Job.
        job: String,
        /// Which attempt comes now, from 2.
        attempt: u32,
        /// Why the last one failed.
        message: String,
        /// Seconds until then.
        #[serde(default)]
        wait_seconds: f64,
        /// Perf parameters that differ from what the pipeline says.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        changed: Map<String, Value>,
    },
    /// The job was computed and its result published.
    Finished {
        /// Job.
        job: String,
        /// Node.
        node: String,
        /// Wall seconds of the computation.
        seconds: f64,
        /// Facts of the summary.
        facts: Map<String, Value>,
    },
    /// The job failed.
    Failed {
        /// Job.
        job: String,
        /// Node.
        node: String,
        /// Decides the exit code.
        class: ExitClass,
        /// What, where, why.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The job was not started.
    Skipped {
        /// Job.
        job: String,
        /// Node.
        node: String,
        /// Why.
        because: String,
    },
    /// An output of the pipeline is at its path.
    OutputWritten {
        /// The job that made it.
        job: String,
        /// Where it is.
        path: PathBuf,
        /// `false` when the content was there already.
        changed: bool,
    },
    /// Last event.
    RunFinished {
        /// How many jobs ended how.
        counts: Counts,
        /// Seconds that cached results saved.
        saved_seconds: f64,
        /// Wall seconds of the run.
        seconds: f64,
        /// How the command should exit.
        exit: ExitClass,
    },
}

impl RunEvent {
    /// The job that the event is about.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        match self {
            Self::RunStarted { .. } | Self::RunFinished { .. } => None,
            Self::Decided { job, .. }
            | Self::Started { job, .. }
            | Self::Progress { job, .. }
            | Self::Warning { job, .. }
            | Self::Printed { job, .. }
            | Self::Waiting { job }
            | Self::Retrying { job, .. }
            | Self::Finished { job, .. }
            | Self::Failed { job, .. }
            | Self::Skipped { job, .. }
            | Self::OutputWritten { job, .. } => Some(job),
        }
    }
}
