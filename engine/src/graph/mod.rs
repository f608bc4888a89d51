//! Pictures of pipelines: one box per node of the file (not per job), one arrow per connection between ports.
//!
//! A [`NodeGraph`] comes from a pipeline or is put together box by box (a report draws the lineage of a result), and
//! is written as Graphviz, as Mermaid, or as an SVG that needs neither.

mod dot;
mod layout;
mod mermaid;
mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::pipeline::{Pipeline, Source};

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node.
    Step,
    /// Files of the user.
    File,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphNode {
    /// Name of the node, or of the file.
    pub title: String,
    /// Second line: the kind, or a fact such as a number of cells. May be empty.
    pub note: String,
    /// Number of jobs; shown when it is not 1.
    pub count: usize,
    /// What it stands for.
    pub role: Role,
}

/// An arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphEdge {
    /// Index of the box where it begins.
    pub from: usize,
    /// Index of the box where it ends.
    pub to: usize,
    /// The ports; may be empty.
    pub label: String,
}

/// Boxes and arrows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeGraph {
    /// Heading, for those who cannot see the picture.
    pub title: String,
    /// The boxes.
    pub nodes: Vec<GraphNode>,
    /// The arrows.
    pub edges: Vec<GraphEdge>,
}

impl NodeGraph {
    /// A graph without boxes.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds a box and returns its index.
    pub fn add(
        &mut self,
        role: Role,
        title: impl Into<String>,
        note: impl Into<String>,
        count: usize,
    ) -> usize {
        self.nodes.push(GraphNode { title: title.into(), note: note.into(), count, role });
        self.nodes.len() - 1
    }

    /// Adds an arrow between two boxes. Arrows between the same boxes become one with both labels.
    pub fn connect(&mut self, from: usize, to: usize, label: &str) {
        let Some(edge) = self.edges.iter_mut().find(|edge| edge.from == from && edge.to == to) else {
            self.edges.push(GraphEdge { from, to, label: label.to_owned() });
            return;
        };
        if !label.is_empty() && !edge.label.split(", ").any(|known| known == label) {
            edge.label =
                if edge.label.is_empty() { label.to_owned() } else { format!("{}, {label}", edge.label) };
        }
    }

    /// The nodes of a pipeline, their connections, and the user's files that enter it.
    #[must_use]
    pub fn from_pipeline(pipeline: &Pipeline) -> Self {
        let mut graph = Self::new(pipeline.name.clone());
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        for job in &pipeline.jobs {
            match index.get(job.node.as_str()) {
                Some(node) => graph.nodes[*node].count += 1,
                None => {
                    let node = graph.add(Role::Step, job.node.clone(), job.kind.spec.name, 1);
                    index.insert(&job.node, node);
                }
            }
        }
        let mut edges: BTreeSet<(usize, usize, String)> = BTreeSet::new();
        let mut files: BTreeMap<(usize, &str), BTreeSet<&PathBuf>> = BTreeMap::new();
        for job in &pipeline.jobs {
            let to = index[job.node.as_str()];
            for input in &job.inputs {
                match &input.source {
                    Source::Path(path) => {
                        files.entry((to, &input.port)).or_default().insert(path);
                    }
                    Source::Job { job: producer, port } => {
                        let from = index[pipeline.jobs[*producer].node.as_str()];
                        edges.insert((from, to, arrow(port, &input.port)));
                    }
                }
            }
        }
        // Ports that read the same files share a box.
        let mut boxes: BTreeMap<BTreeSet<&PathBuf>, usize> = BTreeMap::new();
        for ((to, port), paths) in files {
            let title = match paths.first() {
                Some(path) if paths.len() == 1 => {
                    path.strip_prefix(&pipeline.root).unwrap_or(path).display().to_string()
                }
                _ => format!("{} files", paths.len()),
            };
            let from = *boxes.entry(paths).or_insert_with(|| graph.add(Role::File, title, "", 1));
            edges.insert((from, to, port.to_owned()));
        }
        for (from, to, label) in edges {
            graph.connect(from, to, &label);
        }
        graph
    }
}

impl GraphNode {
    /// Second line with the number of jobs: `embed × 36`.
    fn subtitle(&self) -> String {
        match (self.count, self.note.as_str()) {
            (1, note) => note.to_owned(),
            (count, "") => format!("× {count}"),
            (count, note) => format!("{note} × {count}"),
        }
    }
}

/// `cells`, or `embedding → predictions` where the two ends differ.
fn arrow(from: &str, to: &str) -> String {
    if from == to { from.to_owned() } else { format!("{from} → {to}") }
}

#[cfg(test)]
mod tests;
