//! A workflow for Nextflow: one process a node, one sheet of jobs each, the sheets put together by shared axes.
//!
//! ```text
//! main.nf          processes, and how their channels hang together
//! jobs/NODE.tsv    the jobs of a node, a row each: axes, and what differs between them
//! lineage/JOB.json for reports: the nodes above
//! nextflow.config  files of the user, the shared store, where results go; conf/ holds what machines need
//! ```

mod channels;
mod config;
mod lineage;
mod process;
mod sheet;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;

use celldag_engine::Pipeline;

use crate::error::ExportError;
use crate::folder::Files;
use crate::workflow::Workflow;

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
    let workflow = &Workflow::of(pipeline)?;
    let mut files = Files::new();
    let mut inputs = channels::UserFiles::new(&["store", "outdir", "device"]);
    let mut processes = String::new();
    let mut body = String::new();
    for (index, rule) in workflow.rules.iter().enumerate() {
        let mut sheet = sheet::Sheet::of(workflow, rule, pipeline)?;
        let (call, ports) = channels::call(workflow, pipeline, index, &mut sheet, &mut inputs)?;
        let small = options.small.contains(&rule.node);
        processes.push_str(&process::process(workflow, index, &ports, &mut sheet, small)?);
        processes.push('\n');
        body.push_str(&call);
        files.insert(format!("jobs/{}.tsv", rule.ident).into(), sheet.text(rule)?);
        if !rule.above.is_empty() {
            for (job, name) in rule.jobs.iter().zip(sheet.names()) {
                files.insert(format!("lineage/{name}.json").into(), lineage::text(pipeline, *job));
            }
        }
    }
    let main = format!(
        "#!/usr/bin/env nextflow\n// {}: written by `celldag export nextflow`; README.md says how to run it.\n\n{processes}{JOBS}\nworkflow {{\n{body}}}\n",
        workflow.name.replace('\n', " "),
    );
    files.insert("main.nf".into(), main);
    files.insert("nextflow.config".into(), config::config(workflow, &inputs, options.store.as_deref())?);
    files.insert("conf/local.config".into(), config::LOCAL.to_owned());
    files.insert("conf/slurm.config".into(), config::slurm(workflow, !options.small.is_empty()));
    files.insert("README.md".into(), config::readme(workflow, &options.pipeline));
    Ok(files)
}

const JOBS: &str = r#"// The jobs of a node, one map each: the values of its axes, and what differs between its jobs.
def jobs(node) {
    channel.fromPath("${projectDir}/jobs/${node}.tsv", checkIfExists: true, glob: false).splitCsv(header: true, sep: '\t')
}
"#;
