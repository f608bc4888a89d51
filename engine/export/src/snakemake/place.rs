//! Where the files of a workflow are, all relative to the folder of the export.

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
    // Names of files come from kinds, and braces in them would be wildcards.
    let file = output.file.replace('{', "{{").replace('}', "}}");
    format!("{}/{file}", pattern(workflow, NODES, rule))
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
