//! What a step of a workflow manager leaves for the steps below it, and what it is told of those above it: two small JSON
//! files, from which a report gets the very lineage, and so the very key, that it has in a run.
//!
//! ```text
//! celldag export ─▶ lineage: the nodes above a job and their edges    ┐
//!                                                                     ├─▶ lineage of the job, as `action::lineage` makes it
//! celldag step --summary ─▶ summary: what one job had to say, a file each ┘
//! ```

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use celldag_cache::{Digest, Key};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::action::{Above, skeleton};
use crate::pipeline::Pipeline;
use crate::record::JobRecord;

pub use read::read_lineage;

/// Version of the file that tells of the nodes above a job.
const LINEAGE: u32 = 1;
/// Version of the file that a step leaves.
const SUMMARY: u32 = 1;

/// Why a step cannot be told what is above it.
#[derive(Debug, thiserror::Error)]
pub enum AboveError {
    /// A file cannot be read, or is something else.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Summaries of jobs that the lineage names were not given.
    #[error("no summary of {}{}", jobs.iter().take(5).cloned().collect::<Vec<_>>().join(", "), more(jobs.len()))]
    Missing {
        /// All of them, in the order of the lineage.
        jobs: Vec<String>,
    },
    /// Two files say different things of one job.
    #[error("{} and {} tell of {job}, and not the same", one.display(), other.display())]
    Conflict {
        /// The job.
        job: String,
        /// One of them.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A summary belongs to a job of another kind than the lineage says: the files are of different workflows.
    #[error("{job} is of the kind `{kind}` by its summary, and of `{expected}` by the lineage")]
    Kind {
        /// The job.
        job: String,
        /// By its summary.
        kind: String,
        /// By the lineage.
        expected: String,
    },
}

impl AboveError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::File { .. } => {
                "--lineage takes the file that `celldag export` wrote, --above what steps wrote with --summary"
            }
            Self::Missing { .. } => {
                "give --above the files that these steps wrote with --summary, or their folder"
            }
            Self::Conflict { .. } => {
                "one is of an earlier state: let its step run again, or leave the file out"
            }
            Self::Kind { .. } => "export the pipeline again, and give the summaries of that workflow only",
        }
    }
}

fn more(jobs: usize) -> String {
    if jobs > 5 { format!(" and {} other jobs", jobs - 5) } else { String::new() }
}

/// What one job had to say (`celldag step --summary`). It depends on the action and the name of the job only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSummary {
    /// Version of the file.
    celldag_summary: u32,
    /// What the job is called: `head[fold=3]`.
    pub job: String,
    /// Its kind.
    pub kind: String,
    /// Key of its action.
    pub key: Key,
    /// Named counts and short facts.
    pub facts: Map<String, Value>,
    /// Warnings, in the order they arose.
    pub warnings: Vec<String>,
    /// Output port → digest.
    pub outputs: BTreeMap<String, Digest>,
}

impl StepSummary {
    /// What a job had to say; `None` when it has no result.
    #[must_use]
    pub fn of(job: &JobRecord) -> Option<Self> {
        let summary = job.summary.clone();
        (!job.outputs.is_empty()).then_some(())?;
        Some(Self {
            celldag_summary: SUMMARY,
            job: job.id.clone(),
            kind: job.kind.clone(),
            key: job.key?,
            facts: summary.facts,
            warnings: summary.warnings,
            outputs: job.outputs.iter().map(|(port, artifact)| (port.clone(), artifact.digest)).collect(),
        })
    }
}

/// The nodes above a job and their edges.
#[derive(Debug, Serialize, Deserialize)]
struct LineageFile {
    celldag_lineage: u32,
    nodes: Vec<NodeAbove>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NodeAbove {
    node: String,
    kind: String,
    jobs: Vec<String>,
    inputs: Vec<Edge>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Edge {
    port: String,
    from: String,
}

/// What `celldag step --lineage` reads for the job with this index: the nodes above it without what their jobs had to say,
/// which is known only when they have run.
#[must_use]
pub fn lineage_skeleton(pipeline: &Pipeline, job: usize) -> Value {
    let node = |above: Above<usize>| NodeAbove {
        node: above.node,
        kind: above.kind,
        jobs: above.jobs.iter().map(|&job| pipeline.jobs[job].id.clone()).collect(),
        inputs: above.inputs.into_iter().map(|(port, from)| Edge { port, from }).collect(),
    };
    let nodes: Vec<NodeAbove> = skeleton(pipeline, job).into_iter().map(node).collect();
    json!({ "celldag_lineage": LINEAGE, "nodes": nodes })
}
