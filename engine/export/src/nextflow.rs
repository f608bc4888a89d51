//! A workflow for Nextflow: one process a node (several where nodes take from each other), one sheet of jobs each, the sheets put
//! together by shared axes.
//!
//! ```text
//! main.nf          processes, and how their channels hang together
//! jobs/NODE.json   the jobs of a node, a line each: axes, and what differs between them
//! lineage/JOB.json for reports: the nodes above
//! nextflow.config  files of the user, the shared store, where results go; conf/ holds what machines need
//! ```

mod batch;
mod channels;
mod choice;
mod config;
mod lineage;
mod process;
mod results;
mod retry;
mod shards;
mod sheet;
mod take;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;

use celldag_engine::Pipeline;

use crate::error::ExportError;
use crate::folder::Files;
use crate::modules::{in_comment, nextflow::QUOTE};
use crate::workflow::{Names, Workflow};

/// An input port of a process.
struct Port {
    /// Port of the kind.
    name: String,
    /// Variable of its files.
    variable: String,
    /// Variable of their labels, if it takes many.
    labels: String,
    /// Variable of its arguments.
    argument: String,
    many: bool,
    /// Some jobs have nothing there.
    optional: bool,
}

/// What an export may be told besides the pipeline.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The store that tasks share, if it is to be written down.
    pub store: Option<String>,
    /// Arguments for `celldag runs import` that name the pipeline: its path, `--set`, `--profile`.
    pub pipeline: Vec<String>,
    /// Nodes whose tasks are too small for a cluster job: they run where Nextflow runs.
    pub small: BTreeSet<String>,
}

/// The files of the export.
///
/// # Errors
/// What cannot be said in Nextflow.
pub fn nextflow(pipeline: &Pipeline, options: &Options) -> Result<Files, ExportError> {
    let workflow = &Workflow::without_circles(pipeline)?;
    let mut files = Files::new();
    let mut body = channels::Body::new(&["store", "outdir", "device"]);
    let mut names = Names::default();
    workflow.rules.iter().for_each(|rule| names.occupy(&rule.ident));
    let mut processes = String::new();
    let mut calls = String::new();
    let mut batched = None;
    for index in choice::order(workflow) {
        let rule = &workflow.rules[index];
        let mut sheet = sheet::Sheet::of(workflow, rule, pipeline);
        let call = channels::call(workflow, pipeline, index, &mut sheet, &mut body)?;
        let small = options.small.contains(&rule.node);
        let process = process::process(workflow, index, &call.ports, &mut sheet, small)?;
        calls.push_str(&call.statements);
        if let Some(count) = shards::count(rule) {
            let takes = process.takes.clone();
            let cut = shards::cut(rule, process, &sheet, count, small, &mut names);
            cut.iter().for_each(|process| processes.push_str(&format!("{}\n", process.text())));
            calls.push_str(&shards::calls(&cut, &call.channel, &takes, &sheet, count));
        } else {
            processes.push_str(&format!("{}\n", process.text()));
            let batches = process.batch.as_ref().map(|batch| batch.channel(&call.channel, &process.takes));
            batched = batched.or(batches.is_some().then(|| sheet.name.clone()));
            calls.push_str(&format!("    {}({})\n", process.name, batches.unwrap_or(call.channel)));
        }
        files.insert(format!("jobs/{}.json", rule.ident).into(), sheet.text(rule)?);
        files.extend(rule.runs.entry());
        if !rule.above.is_empty() {
            for (job, name) in rule.jobs.iter().zip(sheet.names()) {
                files.insert(format!("lineage/{name}.json").into(), lineage::text(pipeline, *job));
            }
        }
    }
    let functions = JOBS.to_owned() + &batched.as_deref().map_or_else(String::new, batch::functions);
    let main = format!(
        "#!/usr/bin/env nextflow\n// {}: written by `celldag export nextflow`; README.md says how to run it.\n\n{processes}{functions}\n{QUOTE}\nworkflow {{\n{calls}}}\n",
        in_comment(&workflow.name),
    );
    files.insert("main.nf".into(), main);
    files.insert("nextflow.config".into(), config::config(workflow, &body.files, options.store.as_deref())?);
    files.insert("conf/local.config".into(), config::LOCAL.to_owned());
    files.insert("conf/slurm.config".into(), config::slurm(workflow, !options.small.is_empty()));
    files.insert("README.md".into(), config::readme(workflow, &options.pipeline));
    Ok(files)
}

const JOBS: &str = r#"// The jobs of a node, one map each: the values of its axes, and what differs between its jobs.
def jobs(node) {
    channel.fromPath("${projectDir}/jobs/${node}.json", checkIfExists: true, glob: false).splitJson()
}
"#;
