//! The order of nodes, and cycles shown as a path.

use std::collections::BTreeSet;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::references::ItemSource;
use super::{CheckedNode, Sketches};
use crate::diagnostic::Diagnostic;
use crate::spec::Span;

/// Indices of nodes with producers first, otherwise in file order. Nodes on a cycle, and what depends on them, are left
/// out; each cycle is a finding.
pub(crate) fn order(sketches: &Sketches<'_>, nodes: &[CheckedNode], out: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut graph: DiGraph<(), Span> = DiGraph::new();
    let ids: Vec<NodeIndex> = nodes.iter().map(|_| graph.add_node(())).collect();
    for (consumer, node) in nodes.iter().enumerate() {
        for item in node.inputs.iter().flat_map(|input| &input.items) {
            if let ItemSource::Node { node: producer, .. } = item.source {
                graph.add_edge(ids[producer], ids[consumer], item.span.clone());
            }
        }
    }
    for component in tarjan_scc(&graph) {
        let members: BTreeSet<usize> = component.iter().map(|id| id.index()).collect();
        if let Some((path, span)) = cycle(&graph, &members) {
            let names: Vec<&str> = path.iter().map(|index| sketches.nodes[*index].name()).collect();
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::cycle",
                    format!("nodes wait for each other: {}", names.join(" -> ")),
                )
                .at(span, "this closes the cycle")
                .help("remove one of these references"),
            );
        }
    }
    sorted(&graph, nodes.len())
}

/// A shortest cycle through the first member, as a path that ends where it begins, with the place of its last reference.
fn cycle(graph: &DiGraph<(), Span>, members: &BTreeSet<usize>) -> Option<(Vec<usize>, Span)> {
    let start = *members.first()?;
    let mut before: Vec<Option<usize>> = vec![None; graph.node_count()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<usize> = graph.neighbors(NodeIndex::new(node)).map(NodeIndex::index).collect();
        next.sort_unstable();
        for other in next {
            if other == start {
                let edge = graph.find_edge(NodeIndex::new(node), NodeIndex::new(start))?;
                let mut path = vec![start, node];
                while let Some(earlier) = path.last().and_then(|last| before[*last]) {
                    path.push(earlier);
                }
                path.reverse();
                return Some((path, graph.edge_weight(edge)?.clone()));
            }
            if members.contains(&other) && before[other].is_none() {
                before[other] = Some(node);
                queue.push_back(other);
            }
        }
    }
    None
}

fn sorted(graph: &DiGraph<(), Span>, count: usize) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..count)
        .map(|n| graph.edges_directed(NodeIndex::new(n), petgraph::Direction::Incoming).count())
        .collect();
    let mut ready: BTreeSet<usize> = (0..count).filter(|n| waiting[*n] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(node) = ready.pop_first() {
        order.push(node);
        for consumer in graph.neighbors(NodeIndex::new(node)) {
            waiting[consumer.index()] -= 1;
            if waiting[consumer.index()] == 0 {
                ready.insert(consumer.index());
            }
        }
    }
    order
}
