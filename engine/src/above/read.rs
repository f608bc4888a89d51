//! From the files to the lineage of a step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{AboveError, LINEAGE, LineageFile, NodeAbove, SUMMARY, StepSummary};
use crate::action::{Above, told};
use crate::step::Summary;

/// What is known of a job, and from where.
struct Known {
    summary: StepSummary,
    said: Summary,
    path: PathBuf,
    /// Another file that says something else.
    contradicted: Option<PathBuf>,
}

/// The lineage of a step: the nodes that the file at `lineage` names, with what the summaries at `above` say of their jobs.
/// Folders are searched for files that end in `.json`; what is no summary is passed over there.
///
/// # Errors
/// When a file cannot be read or is something else, summaries contradict each other, or one is missing.
pub fn read_lineage(lineage: &Path, above: &[PathBuf]) -> Result<Value, AboveError> {
    let file: LineageFile = json(lineage, "no lineage that `celldag export` wrote")?;
    if file.celldag_lineage != LINEAGE {
        return Err(other_version(lineage, file.celldag_lineage));
    }
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for path in above {
        collect(path, &mut known)?;
    }
    let nodes: Vec<Above<String>> = file.nodes.into_iter().map(node).collect();
    let all = || nodes.iter().flat_map(|node| node.jobs.iter().map(|job| (job, &node.kind)));
    let missing: Vec<String> =
        all().filter(|(job, _)| !known.contains_key(*job)).map(|(job, _)| job.clone()).collect();
    if !missing.is_empty() {
        return Err(AboveError::Missing { jobs: missing });
    }
    for (job, expected) in all() {
        // What is said of jobs that the lineage does not name is nobody's concern.
        if let Some((found, other)) =
            known.get(job).and_then(|found| Some((found, found.contradicted.clone()?)))
        {
            return Err(AboveError::Conflict { job: job.clone(), one: found.path.clone(), other });
        }
        if let Some(found) = known.get(job).filter(|found| found.summary.kind != *expected) {
            let (job, expected) = (job.clone(), expected.clone());
            return Err(AboveError::Kind { job, kind: found.summary.kind.clone(), expected });
        }
    }
    told(&nodes, |job: &String| known.get(job).map(|found| &found.said))
        .map_err(|job| AboveError::Missing { jobs: vec![job.clone()] })
}

fn node(node: NodeAbove) -> Above<String> {
    Above {
        node: node.node,
        kind: node.kind,
        jobs: node.jobs,
        inputs: node.inputs.into_iter().map(|edge| (edge.port, edge.from)).collect(),
    }
}

/// Reads a summary, or all below a folder.
fn collect(path: &Path, known: &mut BTreeMap<String, Known>) -> Result<(), AboveError> {
    if !path.is_dir() {
        return add(path, json(path, "no summary that `celldag step --summary` wrote")?, known);
    }
    let listed = fs_err::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries: Vec<PathBuf> =
        listed.map_err(|e| wrong(path, e.to_string()))?.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        // Links to folders may lead in a circle.
        if entry.is_dir() {
            if !entry.is_symlink() {
                collect(&entry, known)?;
            }
        } else if entry.extension().is_some_and(|extension| extension == "json") {
            let bytes = fs_err::read(&entry).map_err(|e| wrong(&entry, e.to_string()))?;
            let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
            if value.get("celldag_summary").is_some() {
                let summary = serde_json::from_value(value).map_err(|e| wrong(&entry, e.to_string()))?;
                add(&entry, summary, known)?;
            }
        }
    }
    Ok(())
}

fn add(path: &Path, summary: StepSummary, known: &mut BTreeMap<String, Known>) -> Result<(), AboveError> {
    if summary.celldag_summary != SUMMARY {
        return Err(other_version(path, summary.celldag_summary));
    }
    if let Some(before) = known.get_mut(&summary.job) {
        if before.summary != summary {
            before.contradicted = Some(path.to_owned());
        }
        return Ok(());
    }
    let said = Summary {
        facts: summary.facts.clone(),
        warnings: summary.warnings.clone(),
        execution: serde_json::Map::new(),
    };
    known.insert(summary.job.clone(), Known { summary, said, path: path.to_owned(), contradicted: None });
    Ok(())
}

fn json<T: serde::de::DeserializeOwned>(path: &Path, otherwise: &str) -> Result<T, AboveError> {
    let bytes = fs_err::read(path).map_err(|e| wrong(path, e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(path, format!("{otherwise}: {e}")))
}

fn other_version(path: &Path, version: u32) -> AboveError {
    wrong(path, format!("version {version} of the file, which this celldag does not read"))
}

fn wrong(path: &Path, why: String) -> AboveError {
    AboveError::File { path: path.to_owned(), why }
}
