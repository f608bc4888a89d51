//! Where the results of the pipeline go: names of files of a task → paths, job by job, in the sheet.

use serde_json::{Map, Value};

use super::batch;
use super::sheet::Sheet;
use crate::error::ExportError;
use crate::workflow::{Output, Wanted, Workflow};

/// Where an output lies in the folder of a task; `job` is the name of the job where a task has several.
pub(super) fn place(output: &Output, job: Option<&str>) -> String {
    match job {
        None => format!("out/{}", output.file),
        Some(job) => format!("out/{job}/{}", output.file),
    }
}

/// A directive for each path that some output of the rule goes to: the first ones, the second ones, and so on.
pub(super) fn publish(workflow: &Workflow, index: usize, sheet: &mut Sheet) -> Result<String, ExportError> {
    let rule = &workflow.rules[index];
    let batches = batch::has(rule);
    let wanted = |output: &Output| -> Vec<&Wanted> {
        let own = |wanted: &&Wanted| wanted.rule == index && wanted.port == output.port;
        workflow.outputs.iter().filter(own).collect()
    };
    let most = rule.outputs.iter().map(|output| wanted(output).len()).max().unwrap_or(0);
    let mut directives = String::new();
    for turn in 0..most {
        let mut cells = vec![Map::new(); rule.jobs.len()];
        for output in &rule.outputs {
            let Some(entry) = wanted(output).get(turn).copied() else { continue };
            for ((cell, path), job) in cells.iter_mut().zip(&entry.paths).zip(sheet.names()) {
                let Some(path) = path else { continue };
                let text = path.to_str().ok_or_else(|| ExportError::NotText { path: path.clone() })?;
                cell.insert(place(output, batches.then_some(job.as_str())), text.into());
            }
        }
        let column = sheet.add("results", cells.into_iter().map(Value::Object).collect());
        let path = if batches {
            format!("batch.findResult {{ meta -> meta.{column}[name] }}")
        } else {
            format!("meta.{column}[name]")
        };
        directives.push_str(&format!(
            "    publishDir params.outdir, mode: 'copy', overwrite: true, saveAs: {{ name -> {path} }}\n"
        ));
    }
    Ok(directives)
}
