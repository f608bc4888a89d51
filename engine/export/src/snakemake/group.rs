//! Groups of small jobs that share a job of the cluster.

use std::collections::BTreeSet;

use crate::workflow::{Item, Rule, Workflow};

/// The group of each rule; `None` for rules that are not small. Snakemake refuses a group that a path leaves and comes back to,
/// so that a group is numbered by how many other rules are above it at most: a path that leaves it comes to a higher number.
pub(super) fn groups(workflow: &Workflow, small: &BTreeSet<String>) -> Vec<Option<String>> {
    // A resource that is a text has to be the same for a whole group, and a parameter that changes with attempts is one.
    let is_small = |rule: &Rule| small.contains(&rule.node) && rule.retried.is_empty();
    let mut depth = vec![0_usize; workflow.rules.len()];
    // No path is longer than there are rules.
    for _ in &workflow.rules {
        for (number, rule) in workflow.rules.iter().enumerate() {
            let above = sources(rule)
                .map(|source| depth[source] + usize::from(!is_small(&workflow.rules[source])))
                .max();
            depth[number] = above.unwrap_or(0);
        }
    }
    let name = |(rule, depth): (&Rule, usize)| is_small(rule).then(|| format!("small_{depth}"));
    workflow.rules.iter().zip(depth).map(name).collect()
}

/// The rules that a rule takes from.
fn sources(rule: &Rule) -> impl Iterator<Item = usize> {
    rule.feeds.iter().flat_map(|feed| feed.items.values()).flatten().filter_map(|item| match item {
        Item::Join { rule, .. } | Item::Gather { rule, .. } => Some(*rule),
        Item::File { .. } => None,
    })
}
