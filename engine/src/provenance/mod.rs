//! What made a file: from its content to the job that wrote it, and from there to the user's files.
//!
//! Nothing is read from the file but its bytes: their digest stands in the records of runs. A file that was renamed, copied or
//! sent by mail is found as well as one at the path that a pipeline gave it.

pub mod export;
mod index;
mod search;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::BTreeMap;
use std::path::PathBuf;

use celldag_cache::{Digest, Key};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::record::{IncludedFile, JobOutcome};

pub use search::{Reader, Writer, readers, writers};
pub use trace::provenance;

/// What made an artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// BLAKE3 of the artifact.
    pub digest: Digest,
    /// Runs that have it as a result, newest first. Empty when it is known from the store alone.
    pub runs: Vec<RunOf>,
    /// The work that led to it: the job that made it first, then what that reads from, and so on up. Each once.
    pub works: Vec<Work>,
    /// Whether work further up was left out.
    pub cut: bool,
}

/// A run that has the artifact as a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOf {
    /// Id of the run.
    pub id: String,
    /// UTC, RFC 3339.
    pub started: String,
    /// Name of the pipeline; of a single step, its kind.
    pub pipeline: String,
    /// The pipeline file as given; empty for a single step.
    pub file: PathBuf,
    /// BLAKE3 of the pipeline file.
    pub pipeline_digest: Option<String>,
    /// The files that it includes; absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included: Option<Vec<IncludedFile>>,
    /// Version of celldag.
    pub version: String,
    /// The job that has it.
    pub job: String,
    /// Its output port.
    pub port: String,
    /// Whether this run computed it or took it from the store.
    pub outcome: JobOutcome,
}

/// One piece of work: a job with everything that its result depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Steps between the artifact and this work.
    pub depth: usize,
    /// Run whose record tells about it; empty when only the store knows it.
    pub run: String,
    /// Job id; empty when only the store knows it.
    pub job: String,
    /// Node; empty when only the store knows it.
    pub node: String,
    /// Axis → value.
    pub coordinates: BTreeMap<String, String>,
    /// Kind.
    pub kind: String,
    /// Epoch of the kind.
    pub epoch: u32,
    /// Epochs of parts of the kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, u32>,
    /// Key of the action.
    pub key: Key,
    /// Parameters that the result depends on, defaults written out.
    pub params: BTreeMap<String, Value>,
    /// What it read, with where that came from.
    pub inputs: Vec<WorkInput>,
    /// Output ports with their digests.
    pub outputs: BTreeMap<String, Digest>,
    /// Wall seconds of the computation.
    pub seconds: f64,
    /// When and where it was computed; absent when the store has forgotten it.
    pub made: Option<Made>,
    /// What it warned about.
    pub warnings: Vec<String>,
}

/// When and where a result was computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// When it was published: UTC, RFC 3339.
    pub created: String,
    /// Host.
    pub host: String,
    /// Version of celldag.
    pub version: String,
    /// Backend, adapter, driver and what else the kind said about its execution.
    pub execution: Map<String, Value>,
}

/// An artifact that a job read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkInput {
    /// Port.
    pub port: String,
    /// Label of a gathered artifact; empty for a single one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// BLAKE3 of the content.
    pub digest: String,
    /// Where it came from.
    pub from: Origin,
}

/// Where an artifact came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// An output of another job.
    Work {
        /// Run whose record tells about the job.
        run: String,
        /// Job id.
        job: String,
        /// Output port.
        port: String,
    },
    /// A file of the user.
    File {
        /// Where it was, absolute.
        path: PathBuf,
    },
    /// The record does not say.
    Unknown,
}
