//! Where the artifacts on a job's inputs came from. Actions know contents only; this is for people.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::pipeline::{Job, Pipeline, Source};

/// One artifact on an input port; its digest stands in the action under the same port and label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// The port.
    pub port: String,
    /// Label of a gathered artifact; empty for a single one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Where it came from.
    pub from: InputFrom,
}

/// Where an artifact came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFrom {
    /// A file or folder of the user, absolute.
    File(PathBuf),
    /// An output of another job of the run.
    Job {
        /// Job id.
        id: String,
        /// Output port.
        port: String,
    },
}

/// Where an input whose content changed comes from; `None` for other changes, and in records of earlier versions.
#[must_use]
pub fn changed_source<'a>(change: &Change, sources: &'a [InputRecord]) -> Option<&'a InputFrom> {
    let Change::Input { port, label, .. } = change else { return None };
    let source = sources.iter().find(|input| input.port == *port && input.label == *label);
    source.map(|input| &input.from)
}

/// The inputs of a job, as its pipeline connects them.
pub(crate) fn input_records(pipeline: &Pipeline, job: &Job) -> Vec<InputRecord> {
    let from = |source: &Source| match source {
        // A record is text: what a path cannot say in it is replaced, not an error of the run.
        Source::Path(path) => InputFrom::File(path.to_string_lossy().into_owned().into()),
        Source::Job { job, port } => {
            InputFrom::Job { id: pipeline.jobs[*job].id.clone(), port: port.clone() }
        }
    };
    let record = |input: &crate::pipeline::JobInput| InputRecord {
        port: input.port.clone(),
        label: input.label.clone(),
        from: from(&input.source),
    };
    job.inputs.iter().map(record).collect()
}
