//! The order of nodes, and cycles shown as a path.

use std::collections::BTreeSet;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::references::ItemSource;
use super::{CheckedNode, Sketches};
use crate::diagnostic::Diagnostic;
use crate::spec::Span;

/// The order of nodes.
pub(crate) struct Order {
    /// Indices of nodes with producers first, otherwise in file order.
    pub(crate) nodes: Vec<usize>,
    /// A choice on a cycle of nodes: whether jobs wait for each other is known only when there are jobs.
    pub(crate) choice: Option<Span>,
}

/// Finds the order. Nodes on a cycle, and what depends on them, are left out; each cycle is a finding, unless it runs through
/// a choice.
pub(crate) fn order(sketches: &Sketches<'_>, nodes: &[CheckedNode], out: &mut Vec<Diagnostic>) -> Order {
    let mut graph: DiGraph<(), Edge> = DiGraph::new();
    let ids: Vec<NodeIndex> = nodes.iter().map(|_| graph.add_node(())).collect();
    for (consumer, node) in nodes.iter().enumerate() {
        // What no value of an axis chooses is no edge.
        let items =
            node.inputs.iter().flat_map(|input| input.items.iter().filter(|item| input.can_take(item)));
        for item in items {
            if let ItemSource::Node { node: producer, .. } = item.source {
                let edge = Edge { span: item.span.clone(), chosen: item.case.is_some() };
                graph.add_edge(ids[producer], ids[consumer], edge);
            }
        }
    }
    let choice = drop_choices(&mut graph);
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
    Order { nodes: sorted(&graph, nodes.len()), choice }
}

/// A reference from one node to another.
struct Edge {
    span: Span,
    /// It is a case of a choice.
    chosen: bool,
}

/// Removes the choices that lie on cycles. Returns the place of one of them.
fn drop_choices(graph: &mut DiGraph<(), Edge>) -> Option<Span> {
    let mut component = vec![0; graph.node_count()];
    for (number, members) in tarjan_scc(&*graph).iter().enumerate() {
        members.iter().for_each(|member| component[member.index()] = number);
    }
    let mut place = None;
    graph.retain_edges(|graph, edge| {
        let ends = graph.edge_endpoints(edge);
        let on_cycle = ends.is_some_and(|(a, b)| component[a.index()] == component[b.index()]);
        let Some(edge) = graph.edge_weight(edge).filter(|edge| on_cycle && edge.chosen) else { return true };
        place.get_or_insert_with(|| edge.span.clone());
        false
    });
    place
}

/// A shortest cycle through the first member, as a path that ends where it begins, with the place of its last reference.
fn cycle(graph: &DiGraph<(), Edge>, members: &BTreeSet<usize>) -> Option<(Vec<usize>, Span)> {
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
                return Some((path, graph.edge_weight(edge)?.span.clone()));
            }
            if members.contains(&other) && before[other].is_none() {
                before[other] = Some(node);
                queue.push_back(other);
            }
        }
    }
    None
}

fn sorted(graph: &DiGraph<(), Edge>, count: usize) -> Vec<usize> {
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
