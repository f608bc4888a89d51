//! Where the files of a workflow are, all relative to the folder of the export.

use crate::error::ExportError;
use crate::workflow::{Coordinates, Output, Rule, Workflow, encode};

/// Folder of everything that rules make for each other.
pub(super) const NODES: &str = "nodes";
/// Folder of what steps say for the reports below them.
pub(super) const SUMMARIES: &str = "summaries";
/// Folder of the parts of jobs that are cut into shards.
pub(super) const PARTS: &str = "parts";
/// Folder of what the export says about the nodes above a report.
pub(super) const LINEAGE: &str = "lineage";

/// `nodes/head/model={model}/fold={fold}`: a folder for each job of the rule, with a wildcard for each axis.
pub(super) fn pattern(workflow: &Workflow, top: &str, rule: &Rule) -> String {
    let mut path = format!("{top}/{}", encode(&rule.node));
    for axis in &rule.axes {
        path.push_str(&format!("/{}={{{}}}", encode(axis), ident(workflow, axis)));
    }
    path
}

/// The same for one job.
pub(super) fn of_job(top: &str, rule: &Rule, at: &Coordinates) -> String {
    let mut path = format!("{top}/{}", encode(&rule.node));
    for axis in &rule.axes {
        let value = at.get(axis).map_or("", String::as_str);
        path.push_str(&format!("/{}={}", encode(axis), encode(value)));
    }
    path
}

/// An output of the rule, with wildcards.
pub(super) fn output(workflow: &Workflow, rule: &Rule, output: &Output) -> String {
    format!("{}/{}", pattern(workflow, NODES, rule), output.file)
}

/// Refuses a path that Snakemake would take for a pattern: it knows no way to write a brace that is not one of a wildcard, and
/// looks for wildcards even in what a function returns.
pub(super) fn unbraced(node: &str, port: &str, path: &str) -> Result<(), ExportError> {
    if path.contains(['{', '}']) {
        let (node, port, path) = (node.to_owned(), port.to_owned(), path.to_owned());
        return Err(ExportError::Braces { node, port, path });
    }
    Ok(())
}

/// The output of this name.
pub(super) fn port(workflow: &Workflow, rule: usize, port: &str) -> String {
    let rule = &workflow.rules[rule];
    rule.outputs
        .iter()
        .find(|output| output.port == port)
        .map_or_else(String::new, |o| output(workflow, rule, o))
}

/// What the workflow calls an axis.
pub(super) fn ident<'a>(workflow: &'a Workflow, axis: &'a str) -> &'a str {
    workflow.axis(axis).map_or(axis, |axis| &axis.ident)
}
