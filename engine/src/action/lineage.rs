//! What a kind with `wants_lineage` is told about the nodes above it: one entry a node, in topological order.
//!
//! Parameters, keys and times are left out on purpose: a change upstream that leaves content and facts as they were
//! must leave the lineage as it was, or early cutoff would never reach a report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::pipeline::{Pipeline, Source};
use crate::plan::{Done, parents};

/// Job → its result, once it is done.
pub(crate) type Upstream<'a> = dyn Fn(usize) -> Option<Arc<Done>> + 'a;

/// The lineage of `job`: every node above it, or `None` when the summary of one is not known yet.
pub(crate) fn lineage(pipeline: &Pipeline, job: usize, upstream: &Upstream<'_>) -> Option<Value> {
    let mut nodes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for above in ancestors(pipeline, job) {
        nodes.entry(pipeline.jobs[above].node.as_str()).or_default().push(above);
    }
    let mut entries = Vec::new();
    for node in topological(pipeline, &nodes) {
        entries.push(entry(pipeline, node, &nodes[node], upstream)?);
    }
    Some(Value::Array(entries))
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

fn entry(pipeline: &Pipeline, node: &str, jobs: &[usize], upstream: &Upstream<'_>) -> Option<Value> {
    let mut edges: BTreeSet<(&str, String)> = BTreeSet::new();
    let mut facts: Option<Map<String, Value>> = None;
    let mut warnings: Vec<String> = Vec::new();
    let mut heard: BTreeSet<String> = BTreeSet::new();
    for &index in jobs {
        for input in &pipeline.jobs[index].inputs {
            let from = match &input.source {
                Source::Path(_) => "file".to_owned(),
                Source::Job { job, port } => format!("{}.{port}", pipeline.jobs[*job].node),
            };
            edges.insert((input.port.as_str(), from));
        }
        let done = upstream(index)?;
        let summary = &done.summary;
        match &mut facts {
            None => facts = Some(summary.facts.clone()),
            // Of several jobs, only what all of them agree on is a fact of the node.
            Some(common) => common.retain(|name, value| summary.facts.get(name) == Some(value)),
        }
        warnings.extend(summary.warnings.iter().filter(|warning| heard.insert((*warning).clone())).cloned());
    }
    let inputs: Vec<Value> = edges.iter().map(|(port, from)| json!({ "port": port, "from": from })).collect();
    Some(json!({
        "node": node,
        "kind": pipeline.jobs[*jobs.first()?].kind.spec.name,
        "jobs": jobs.len(),
        "inputs": inputs,
        "facts": facts.unwrap_or_default(),
        "warnings": warnings,
    }))
}
