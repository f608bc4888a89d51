//! A checked pipeline: every axis expanded, every reference resolved, every parameter written out.
//!
//! This is the seam between the front of the engine (text, positions, diagnostics) and its back (keys, plans, runs).
//! The jobs are in topological order: a job only refers to jobs before it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::param::Params;
use crate::part::Portion;
use crate::registry::Registered;
use crate::resources::{Dispatch, Resources, Retries};

/// A pipeline that passed every check that needs no data.
#[derive(Clone)]
pub struct Pipeline {
    /// `name:` of the file.
    pub name: String,
    /// The pipeline file, as given.
    pub file: PathBuf,
    /// Folder of the file; relative paths start here.
    pub root: PathBuf,
    /// Tables that axes were read from: no output may overwrite them.
    pub tables: Vec<PathBuf>,
    /// Further files that are read, such as the lineage of a single step: no output may overwrite them.
    pub also_read: Vec<PathBuf>,
    /// Files that the pipeline file includes: no output may overwrite them.
    pub included: Vec<PathBuf>,
    /// `salt:`, part of every key; empty by default.
    pub salt: String,
    /// `numerics: strict` puts backend, adapter and driver into the keys of jobs that use the device.
    pub strict_numerics: bool,
    /// `secrets:`, names of environment variables. Their values are in no key, record or log.
    pub secrets: Vec<String>,
    /// What a single step was told of the nodes above it ([`crate::read_lineage`]); the jobs of a pipeline tell it themselves.
    pub lineage: Option<serde_json::Value>,
    /// Jobs in topological order.
    pub jobs: Vec<Job>,
    /// Artifacts that are materialised outside the store.
    pub outputs: Vec<JobOutput>,
    /// What the user should know although the pipeline runs, in file order.
    pub warnings: Vec<Diagnostic>,
}

/// One unit of work: a node at one combination of its axes.
#[derive(Clone)]
pub struct Job {
    /// Node name in the file.
    pub node: String,
    /// Axis → value; empty without axes. Jobs share them with the jobs they read from where they are the same.
    pub coordinates: Arc<BTreeMap<String, String>>,
    /// `head` or `head[fold=3,model=scgpt]`: unique, readable, stable.
    pub id: String,
    /// The kind.
    pub kind: Registered,
    /// Resolved parameters. Jobs of a node share them where its parameters name no axis.
    pub params: Arc<Params>,
    /// Inputs, sorted by port and then by label.
    pub inputs: Vec<JobInput>,
    /// `keep: temp`: bytes may go once all consumers are done.
    pub temporary: bool,
    /// `retries:`.
    pub retries: Retries,
    /// `timeout:`.
    pub timeout: Option<Duration>,
    /// `resources:`.
    pub resources: Resources,
    /// Whether the job waits in the queue of the compute device: when its kind says so, or `resources: {gpu: 1}`.
    pub uses_device: bool,
    /// What of the work it does: all of it, in a pipeline; single steps may be cut.
    pub portion: Portion,
    /// `shards:` and `batch:`. Shared by the jobs of a node.
    pub dispatch: Arc<Dispatch>,
}

/// What stands on one input port of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobInput {
    /// Port name.
    pub port: String,
    /// Label of a gathered artifact (`fold=3,model=scgpt`); empty for a single one.
    pub label: String,
    /// Where the bytes come from.
    pub source: Source,
}

/// Where the bytes of an input come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file or folder of the user, absolute.
    Path(PathBuf),
    /// An output of an earlier job.
    Job {
        /// Index into [`Pipeline::jobs`].
        job: usize,
        /// Output port of that job.
        port: String,
    },
}

/// An artifact that the user wants at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOutput {
    /// Destination, absolute or relative to `--out` (default: the pipeline's folder).
    pub path: PathBuf,
    /// Index into [`Pipeline::jobs`].
    pub job: usize,
    /// Output port of that job.
    pub port: String,
}
