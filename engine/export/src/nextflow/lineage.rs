//! What a report is told of the tasks above it: a file a job, and which summaries go with it.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::{Pipeline, lineage_skeleton};
use serde_json::Value;

use crate::workflow::Workflow;

/// The file for `celldag step --lineage`.
pub(super) fn text(pipeline: &Pipeline, job: usize) -> String {
    format!("{:#}\n", lineage_skeleton(pipeline, job))
}

/// Whether every job of `rule` needs only summaries of those jobs of `upper` that have its values of shared axes, and there
/// is one at least. All summaries go to each task where that is not so.
pub(super) fn by_shared_axes(workflow: &Workflow, pipeline: &Pipeline, rule: usize, upper: usize) -> bool {
    let (own, other) = (&workflow.rules[rule], &workflow.rules[upper]);
    let shared: Vec<&String> = own.axes.iter().filter(|axis| other.axes.contains(axis)).collect();
    let at: BTreeMap<&str, usize> =
        other.jobs.iter().map(|job| (pipeline.jobs[*job].id.as_str(), *job)).collect();
    own.jobs.iter().all(|job| {
        let named = ids(&lineage_skeleton(pipeline, *job));
        let mut above = named.iter().filter_map(|id| at.get(id.as_str())).peekable();
        let coordinates = |job: usize| &pipeline.jobs[job].coordinates;
        above.peek().is_some()
            && above.all(|upper| {
                shared.iter().all(|axis| coordinates(*upper).get(*axis) == coordinates(*job).get(*axis))
            })
    })
}

fn ids(skeleton: &Value) -> BTreeSet<String> {
    let nodes = skeleton["nodes"].as_array().into_iter().flatten();
    nodes
        .filter_map(|node| node["jobs"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
