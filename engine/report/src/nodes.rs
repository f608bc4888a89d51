//! The jobs of a run, node by node.

use std::collections::BTreeMap;

use celldag_engine::{JobRecord, RunRecord};

/// Nodes in the order in which their first jobs stand in the record, each with its jobs.
pub(crate) fn by_node(run: &RunRecord) -> Vec<(&str, Vec<&JobRecord>)> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut nodes: Vec<(&str, Vec<&JobRecord>)> = Vec::new();
    for job in &run.jobs {
        let place = *places.entry(&job.node).or_insert(nodes.len());
        match nodes.get_mut(place) {
            Some((_, jobs)) => jobs.push(job),
            None => nodes.push((&job.node, vec![job])),
        }
    }
    nodes
}
