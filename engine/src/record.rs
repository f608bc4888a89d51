//! The record of a run: what ran, why, on what, with which result. One folder a run below `runs/` of the store.
//!
//! | File | What | Written |
//! |---|---|---|
//! | `run.json` | [`RunHeader`] | at the start (`running`) and at the end |
//! | `events.jsonl` | [`crate::RunEvent`]s, one a line, with `v` and `time` | while the run goes on |
//! | `jobs.json` | [`JobRecord`]s and [`OutputRecord`]s | once, at the end |
//! | `used.json` | keys that the run used, so that garbage collection keeps them | once, at the end |
//! | `pipeline.yaml` | the pipeline file as it was | at the start |
//! | `included/DIGEST` | files that it includes, as they were | at the start |
//! | `alive` | nothing; locked while the run goes on | at the start, deleted at the end |
//!
//! Readers wait for no lock. A run that was killed has no `jobs.json` and a header that says `running`; readers see that
//! nobody holds `alive` and call it killed.

mod alive;
mod diff;
mod events;
mod folder;
mod included;
mod input;
mod killed;
mod last;
mod load;
mod results;
mod scan;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use celldag_cache::{Artifact, Key};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::action::{Action, DeviceIdentity};
use crate::error::ExitClass;
use crate::events::Counts;
use crate::plan::JobState;
use crate::step::Summary;

pub use diff::{JobDiff, RunDiff, diff};
pub(crate) use events::EventLog;
pub use events::{LoggedEvent, follow_events, read_events};
pub(crate) use folder::{RunFolder, now, time};
pub use included::{IncludedChange, IncludedFile, included_changes};
pub(crate) use input::input_records;
pub use input::{InputFrom, InputRecord, changed_source};
pub use killed::{KilledRuns, unfinished};
pub(crate) use last::{LastActions, Origin, before};
pub use load::{ended_before, list, list_again, load, load_header, load_header_again};
pub use results::{MetricChange, ResultsDiff, RunCost, diff_results};
pub(crate) use scan::Scan;
pub use stored::stored;

/// Version of `run.json` and `jobs.json`.
pub const RECORD_FORMAT: &str = "celldag.run/1";

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Going on.
    Running,
    /// Every job has its result.
    Ok,
    /// A job failed.
    Failed,
    /// Interrupted by the user.
    Cancelled,
    /// Its process ended before the run did. Never written: told by who reads.
    Killed,
}

/// `run.json`: the run without its jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// [`RECORD_FORMAT`].
    pub format: String,
    /// Id; ids sort by time.
    pub id: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// The pipeline file as given.
    pub file: PathBuf,
    /// Folder that relative paths of the pipeline start at, absolute; empty in records of earlier versions.
    #[serde(default)]
    pub root: PathBuf,
    /// BLAKE3 of the file's text, if it could be read.
    pub text_digest: Option<String>,
    /// The files that it includes, each once; absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included: Option<Vec<IncludedFile>>,
    /// Names of the variables that the pipeline and its kinds call secrets; never their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Version of the engine.
    pub version: String,
    /// Device asked for.
    pub device: String,
    /// Device found, as far as the caller told.
    pub identity: Option<DeviceIdentity>,
    /// `--only`.
    pub only: Vec<String>,
    /// `--force`.
    pub force: Vec<String>,
    /// UTC, RFC 3339.
    pub started: String,
    /// UTC, RFC 3339; absent while the run goes on.
    pub finished: Option<String>,
    /// Wall seconds.
    pub seconds: f64,
    /// How it stands.
    pub status: RunStatus,
    /// How the command exits.
    pub exit: ExitClass,
    /// How many jobs ended how.
    pub counts: Counts,
    /// Seconds that cached results saved.
    pub saved_seconds: f64,
    /// Its results were computed by steps of a workflow manager; the times above are theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// Where an imported run comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The workflow manager, as the user calls it.
    pub by: Option<String>,
    /// When it was imported: UTC, RFC 3339.
    pub at: String,
}

impl std::fmt::Display for Imported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.by {
            Some(by) => write!(f, "from steps that {by} ran, on {}", self.at),
            None => write!(f, "from steps that a workflow manager ran, on {}", self.at),
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// Taken from the store.
    Hit,
    /// Computed.
    Ran,
    /// Failed.
    Failed,
    /// Not started.
    Skipped,
}

/// A failure as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFailure {
    /// Decides the exit code.
    pub class: ExitClass,
    /// What, where, why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// One job of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobRecord {
    /// Job id.
    pub id: String,
    /// Node.
    pub node: String,
    /// Axis → value.
    pub coordinates: BTreeMap<String, String>,
    /// Kind.
    pub kind: String,
    /// How it ended.
    pub outcome: JobOutcome,
    /// What was decided about it, with reasons; absent when it was never reached.
    pub state: Option<JobState>,
    /// Key of its action; absent when its inputs were never known.
    pub key: Option<Key>,
    /// The action, as canonical JSON ([`JobRecord::action`]).
    pub action: Option<Box<RawValue>>,
    /// Wall seconds of the computation, also of a cached result.
    pub seconds: f64,
    /// Where its inputs came from; empty in records of earlier versions.
    #[serde(default)]
    pub inputs: Vec<InputRecord>,
    /// Port → digest and size.
    pub outputs: BTreeMap<String, Artifact>,
    /// Facts, warnings and execution of the node.
    pub summary: Summary,
    /// What the engine itself has to say about the job, such as differing bytes for the same action.
    pub remarks: Vec<String>,
    /// The failure, if it failed.
    pub failure: Option<RecordedFailure>,
    /// Why it was not started, if it was not.
    pub because: Option<String>,
}

impl JobRecord {
    /// The action, if it was known and its encoding is ours.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        let raw = self.action.as_ref()?;
        Action::from_value(&serde_json::from_str(raw.get()).ok()?)
    }
}

/// An output of the pipeline at its path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Where it is.
    pub path: PathBuf,
    /// The job that made it.
    pub job: String,
    /// The port of that job.
    pub port: String,
    /// Digest and size.
    pub artifact: Artifact,
    /// Whether this run wrote it; `false` when the content was there already.
    pub changed: bool,
}

/// Everything about a run.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// `run.json`.
    pub header: RunHeader,
    /// The jobs, in topological order. Empty for a run that was killed.
    pub jobs: Vec<JobRecord>,
    /// The outputs of the pipeline that are at their paths.
    pub outputs: Vec<OutputRecord>,
    /// The folder of the record.
    pub folder: PathBuf,
}

impl RunRecord {
    /// Id of the run.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.header.id
    }

    /// The kept text of an included file with this digest.
    #[must_use]
    pub fn included_text(&self, digest: &str) -> PathBuf {
        self.folder.join(folder::INCLUDED).join(digest)
    }

    /// The job with this id.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<&JobRecord> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// How the command exits.
    #[must_use]
    pub fn exit(&self) -> ExitClass {
        self.header.exit
    }

    /// Jobs that failed, in topological order.
    pub fn failures(&self) -> impl Iterator<Item = (&JobRecord, &RecordedFailure)> {
        self.jobs.iter().filter_map(|job| job.failure.as_ref().map(|failure| (job, failure)))
    }
}
