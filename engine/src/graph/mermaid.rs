//! Mermaid, which Markdown viewers draw.

use std::fmt::Write as _;

use super::{NodeGraph, Role};

impl NodeGraph {
    /// The graph as a Mermaid flow chart.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        for (index, node) in self.nodes.iter().enumerate() {
            let subtitle = node.subtitle();
            let mut text = escaped(&node.title);
            if !subtitle.is_empty() {
                let _ = write!(text, "<br/><small>{}</small>", escaped(&subtitle));
            }
            let (open, close) = match node.role {
                Role::Step => ("(", ")"),
                Role::File => ("[/", "/]"),
            };
            let _ = writeln!(out, "  n{index}{open}\"{text}\"{close}");
        }
        for edge in &self.edges {
            let label =
                if edge.label.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(&edge.label)) };
            let _ = writeln!(out, "  n{} -->{label} n{}", edge.from, edge.to);
        }
        out
    }
}

/// Mermaid has its own entities: `#` begins one.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
