//! Where the results of the pipeline go: names of files of a task → paths, job by job, in the sheet.

use serde_json::{Map, Value};

use super::sheet::Sheet;
use crate::error::ExportError;
use crate::workflow::{Output, Wanted, Workflow};

/// Where an output lies in the folder of a task.
pub(super) fn place(output: &Output) -> String {
    format!("out/{}", output.file)
}

/// A directive for each path that some output of the rule goes to: the first ones, the second ones, and so on.
pub(super) fn publish(workflow: &Workflow, index: usize, sheet: &mut Sheet) -> Result<String, ExportError> {
    let rule = &workflow.rules[index];
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
            for (cell, path) in cells.iter_mut().zip(&entry.paths) {
                let Some(path) = path else { continue };
                let text = path.to_str().ok_or_else(|| ExportError::NotText { path: path.clone() })?;
                cell.insert(place(output), text.into());
            }
        }
        let column = sheet.add("results", cells.into_iter().map(Value::Object).collect());
        directives.push_str(&format!(
            "    publishDir params.outdir, mode: 'copy', overwrite: true, saveAs: {{ name -> meta.{column}[name] }}\n"
        ));
    }
    Ok(directives)
}
