//! What a kind with `wants_lineage` is told about the nodes above it: one entry a node, in topological order.
//!
//! Parameters, keys and times are left out on purpose: a change upstream that leaves content and facts as they were
//! must leave the lineage as it was, or early cutoff would never reach a report.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::pipeline::{Pipeline, Source};
use crate::plan::{Done, parents};
use crate::step::Summary;

/// Job → its result, once it is done.
pub(crate) type Upstream<'a> = dyn Fn(usize) -> Option<Arc<Done>> + 'a;

/// A node above a job, without what its jobs had to say. `J` names a job: its index in a pipeline, or its id in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Above<J> {
    /// The node.
    pub(crate) node: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Those of its jobs that the job needs, in the order of the pipeline.
    pub(crate) jobs: Vec<J>,
    /// Port and where its artifacts come from: `file`, or `node.port`.
    pub(crate) inputs: BTreeSet<(String, String)>,
}

/// The lineage of `job`: every node above it, or `None` when the summary of one is not known yet.
pub(crate) fn lineage(pipeline: &Pipeline, job: usize, upstream: &Upstream<'_>) -> Option<Value> {
    told(&skeleton(pipeline, job), |&above| upstream(above)).ok()
}

/// The nodes above `job`, each after those it needs.
pub(crate) fn skeleton(pipeline: &Pipeline, job: usize) -> Vec<Above<usize>> {
    let mut nodes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for above in ancestors(pipeline, job) {
        nodes.entry(pipeline.jobs[above].node.as_str()).or_default().push(above);
    }
    let order = topological(pipeline, &nodes);
    order.into_iter().map(|node| above(pipeline, node, nodes.remove(node).unwrap_or_default())).collect()
}

fn above(pipeline: &Pipeline, node: &str, jobs: Vec<usize>) -> Above<usize> {
    let inputs = jobs.iter().flat_map(|&job| &pipeline.jobs[job].inputs);
    let edge = |input: &crate::pipeline::JobInput| {
        let from = match &input.source {
            Source::Path(_) => "file".to_owned(),
            Source::Job { job, port } => format!("{}.{port}", pipeline.jobs[*job].node),
        };
        (input.port.clone(), from)
    };
    let inputs = inputs.map(edge).collect();
    let kind = jobs.first().map_or_else(String::new, |&job| pipeline.jobs[job].kind.spec.name.to_owned());
    Above { node: node.to_owned(), kind, jobs, inputs }
}

/// The lineage: the nodes, and what their jobs had to say. This is part of keys, wherever the summaries come from: the store
/// in a run, files in a step.
///
/// # Errors
/// The first job of which `summary` knows nothing.
pub(crate) fn told<J, S>(nodes: &[Above<J>], summary: impl Fn(&J) -> Option<S>) -> Result<Value, &J>
where
    S: Deref<Target: AsRef<Summary>>,
{
    let entry = |above| entry(above, &summary);
    nodes.iter().map(entry).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn entry<'a, J, S>(above: &'a Above<J>, summary: &impl Fn(&J) -> Option<S>) -> Result<Value, &'a J>
where
    S: Deref<Target: AsRef<Summary>>,
{
    let mut facts: Option<Map<String, Value>> = None;
    let mut warnings: Vec<String> = Vec::new();
    let mut heard: BTreeSet<String> = BTreeSet::new();
    for job in &above.jobs {
        let said = summary(job).ok_or(job)?;
        let said = said.as_ref();
        match &mut facts {
            None => facts = Some(said.facts.clone()),
            // Of several jobs, only what all of them agree on is a fact of the node.
            Some(common) => common.retain(|name, value| said.facts.get(name) == Some(value)),
        }
        warnings.extend(said.warnings.iter().filter(|warning| heard.insert((*warning).clone())).cloned());
    }
    let edge = |(port, from): &(String, String)| json!({ "port": port, "from": from });
    Ok(json!({
        "node": above.node,
        "kind": above.kind,
        "jobs": above.jobs.len(),
        "inputs": above.inputs.iter().map(edge).collect::<Vec<_>>(),
        "facts": facts.unwrap_or_default(),
        "warnings": warnings,
    }))
}

/// Jobs that `job` needs, directly or not, in ascending order.
pub(crate) fn ancestors(pipeline: &Pipeline, job: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open = vec![job];
    while let Some(current) = open.pop() {
        for above in parents(pipeline, current) {
            if seen.insert(above) {
                open.push(above);
            }
        }
    }
    seen
}

/// Nodes so that each stands after those it needs; ties by name, so that the order of the file does not matter.
fn topological<'a>(pipeline: &'a Pipeline, nodes: &BTreeMap<&'a str, Vec<usize>>) -> Vec<&'a str> {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (node, jobs) in nodes {
        let above = jobs.iter().flat_map(|&job| parents(pipeline, job));
        needs.insert(
            node,
            above.map(|job| pipeline.jobs[job].node.as_str()).filter(|up| up != node).collect(),
        );
    }
    let mut order = Vec::new();
    while !needs.is_empty() {
        // The jobs form no cycle, so some node is free; should nodes (not jobs) form one, the first by name goes.
        let free = needs.iter().find(|(_, above)| above.iter().all(|up| !needs.contains_key(up)));
        let Some((&node, _)) = free.or_else(|| needs.first_key_value()) else { break };
        needs.remove(node);
        order.push(node);
    }
    order
}
