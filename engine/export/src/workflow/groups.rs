//! Which jobs are one rule: those of a node, or of a layer of it.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::{Pipeline, Source};

/// Jobs by node and layer, in the order of their first jobs.
pub(super) fn groups(pipeline: &Pipeline, layers: &[usize]) -> Vec<Vec<usize>> {
    let mut place: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, job) in pipeline.jobs.iter().enumerate() {
        let at = *place.entry((&job.node, layers[index])).or_insert(groups.len());
        if at == groups.len() {
            groups.push(Vec::new());
        }
        groups[at].push(index);
    }
    groups
}

/// Job → how many jobs of nodes in a circle with its own are above it, on the longest way.
pub(super) fn layers(pipeline: &Pipeline, nodes: &[Vec<usize>]) -> Vec<usize> {
    let node_of = rule_of(pipeline, nodes);
    let above = above(pipeline, &node_of, nodes.len());
    let mut layers = vec![0; pipeline.jobs.len()];
    // Jobs stand behind those that they take from.
    for (index, job) in pipeline.jobs.iter().enumerate() {
        for input in &job.inputs {
            if let Source::Job { job: other, .. } = input.source
                && above[node_of[other]].contains(&node_of[index])
            {
                layers[index] = layers[index].max(layers[other] + 1);
            }
        }
    }
    layers
}

/// Job → its rule.
pub(super) fn rule_of(pipeline: &Pipeline, groups: &[Vec<usize>]) -> Vec<usize> {
    let mut rule_of = vec![0; pipeline.jobs.len()];
    for (rule, jobs) in groups.iter().enumerate() {
        jobs.iter().for_each(|job| rule_of[*job] = rule);
    }
    rule_of
}

/// Rule → rules above it, directly or not.
pub(super) fn above(pipeline: &Pipeline, rule_of: &[usize], rules: usize) -> Vec<BTreeSet<usize>> {
    let mut above = vec![BTreeSet::new(); rules];
    for (index, job) in pipeline.jobs.iter().enumerate() {
        for input in &job.inputs {
            if let Source::Job { job: other, .. } = input.source {
                above[rule_of[index]].insert(rule_of[other]);
            }
        }
    }
    loop {
        let before = above.clone();
        for own in &mut above {
            let more: Vec<usize> = own.iter().flat_map(|rule| before[*rule].iter().copied()).collect();
            own.extend(more);
        }
        if above == before {
            return above;
        }
    }
}
