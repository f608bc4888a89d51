//! Graphviz.

use std::fmt::Write as _;

use super::{NodeGraph, Role};

impl NodeGraph {
    /// The graph in Graphviz' language.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut out = format!(
            "digraph {} {{\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n",
            quoted(&self.title)
        );
        out.push_str("  edge [fontname=\"sans-serif\", fontsize=10];\n");
        for (index, node) in self.nodes.iter().enumerate() {
            let subtitle = node.subtitle();
            let text =
                if subtitle.is_empty() { node.title.clone() } else { format!("{}\n{subtitle}", node.title) };
            let style = match node.role {
                Role::Step => "",
                Role::File => ", style=dashed",
            };
            let _ = writeln!(out, "  n{index} [label={}{style}];", quoted(&text));
        }
        for edge in &self.edges {
            let label = if edge.label.is_empty() {
                String::new()
            } else {
                format!(" [label={}]", quoted(&edge.label))
            };
            let _ = writeln!(out, "  n{} -> n{}{label};", edge.from, edge.to);
        }
        out.push_str("}\n");
        out
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
