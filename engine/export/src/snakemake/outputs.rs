//! `outputs:` of the pipeline at the paths that the user asked for, and what `rule all` wants.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use celldag_engine::{Pipeline, Source};
use serde_json::json;

use super::combinations::expand;
use super::place::{self, LINEAGE, NODES, PARTS, SUMMARIES, ident, of_job, unbraced};
use super::text::python;
use crate::error::ExportError;
use crate::folder::MARKER;
use crate::workflow::{Coordinates, Names, Rule, Wanted, Workflow};

/// Rules that put outputs in place.
#[derive(Default)]
pub(super) struct Deliveries {
    /// Text of the rules.
    pub(super) rules: String,
    /// Names of those that have one.
    pub(super) names: Vec<String>,
    /// Inputs of `rule all`, as Python.
    pub(super) wanted: Vec<String>,
    /// Path → where it is made, for outputs whose paths follow no pattern.
    pub(super) listed: serde_json::Map<String, serde_json::Value>,
}

/// Everything that the workflow has to give. `names` are those of all rules.
pub(super) fn write(
    pipeline: &Pipeline,
    workflow: &Workflow,
    names: &mut Names,
) -> Result<Deliveries, ExportError> {
    let mut out = Deliveries::default();
    for rule in &workflow.rules {
        rule.outputs.iter().try_for_each(|output| unbraced(&rule.node, &output.port, &output.file))?;
    }
    let mut asked: BTreeSet<(usize, usize)> = BTreeSet::new();
    for entry in &workflow.outputs {
        let rule = &workflow.rules[entry.rule];
        let Some(port) = rule.outputs.iter().find(|output| output.port == entry.port) else { continue };
        for path in entry.paths.iter().flatten() {
            free(path)?;
            unbraced(&rule.node, &entry.port, &path.to_string_lossy())?;
        }
        asked.extend(
            entry
                .paths
                .iter()
                .enumerate()
                .filter(|(_, path)| path.is_some())
                .map(|(job, _)| (entry.rule, job)),
        );
        let made = place::output(workflow, rule, port);
        match pattern(workflow, rule, entry) {
            Some(path) => {
                let name = names.take(&format!("output_{}_{}", rule.ident, port.ident));
                let kept = if port.folder { format!("directory({})", python(&path)) } else { python(&path) };
                out.rules.push_str(&format!(
                    "rule {name}:\n    input: {}\n    output: {kept}\n    shell: \"cp -R {{input:q}} {{output:q}}\"\n\n\n",
                    python(&made)
                ));
                out.names.push(name);
                let jobs: Vec<&Coordinates> = rule.combinations.iter().collect();
                out.wanted.push(all(workflow, rule, &jobs, &path));
            }
            None => {
                for (at, path) in rule.combinations.iter().zip(&entry.paths) {
                    let Some(path) = path else { continue };
                    let from = format!("{}/{}", of_job(NODES, rule, at), port.file);
                    out.listed.insert(path.to_string_lossy().into_owned(), json!([from, port.folder]));
                }
            }
        }
    }
    if !out.listed.is_empty() {
        out.rules.push_str(LISTED);
        out.wanted.push("list(config[\"outputs\"])".to_owned());
    }
    // Jobs that nothing below needs and no output names are part of the pipeline too.
    let needed = needed(pipeline);
    for (number, rule) in workflow.rules.iter().enumerate() {
        let Some(first) = rule.outputs.first() else { continue };
        let idle = |at: &usize| !needed.contains(&rule.jobs[*at]) && !asked.contains(&(number, *at));
        let idle: Vec<&Coordinates> =
            (0..rule.jobs.len()).filter(idle).map(|at| &rule.combinations[at]).collect();
        if !idle.is_empty() {
            out.wanted.push(all(workflow, rule, &idle, &place::output(workflow, rule, first)));
        }
    }
    Ok(out)
}

/// Outputs whose paths follow no pattern: a rule without a name for each.
const LISTED: &str = r#"for path, (made, folder) in config["outputs"].items():
    rule:
        localrule: True
        input: made
        output: directory(path) if folder else path
        shell: "cp -R {input:q} {output:q}"


"#;

/// Jobs that feed another one, as indices into [`Pipeline::jobs`].
fn needed(pipeline: &Pipeline) -> BTreeSet<usize> {
    let inputs = pipeline.jobs.iter().flat_map(|job| &job.inputs);
    let job = |source: &Source| if let Source::Job { job, .. } = source { Some(*job) } else { None };
    inputs.filter_map(|input| job(&input.source)).collect()
}

/// A pattern of paths for these jobs of a rule.
fn all(workflow: &Workflow, rule: &Rule, jobs: &[&Coordinates], pattern: &str) -> String {
    let value = |at: &Coordinates, axis: &String| at.get(axis).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> =
        jobs.iter().map(|at| rule.axes.iter().map(|axis| value(at, axis)).collect()).collect();
    expand(workflow, pattern, &rule.axes, &rows, false)
}

/// The path of an entry with wildcards, if one pattern with every axis of the rule gives all paths.
fn pattern(workflow: &Workflow, rule: &Rule, entry: &Wanted) -> Option<String> {
    let plain = |axis: &String| workflow.axis(axis).is_some_and(crate::workflow::Axis::is_plain);
    if !rule.axes.iter().all(plain) {
        return None;
    }
    let paths: Vec<&str> = entry.paths.iter().map(|path| path.as_ref()?.to_str()).collect::<Option<_>>()?;
    let filled = |pattern: &str, job: usize| {
        let at = &rule.combinations[job];
        rule.axes.iter().fold(pattern.to_owned(), |text, axis| {
            text.replace(&format!("{{{}}}", ident(workflow, axis)), at.get(axis).map_or("", String::as_str))
        })
    };
    // A value that is part of another text misleads; it does so for few jobs only.
    for base in [0, paths.len() / 2, paths.len() - 1] {
        let at = &rule.combinations[base];
        let mut axes: Vec<&String> = rule.axes.iter().collect();
        // Long values first: short ones may be part of them.
        axes.sort_by_key(|axis| std::cmp::Reverse(at.get(*axis).map_or(0, String::len)));
        let mut parts: Vec<(bool, String)> = vec![(false, paths[base].to_owned())];
        for axis in axes {
            let value = at.get(axis).filter(|value| !value.is_empty())?;
            let wildcard = format!("{{{}}}", ident(workflow, axis));
            parts = parts.into_iter().flat_map(|part| split(part, value, &wildcard)).collect();
        }
        let pattern: String = parts.into_iter().map(|(_, text)| text).collect();
        let complete =
            rule.axes.iter().all(|axis| pattern.contains(&format!("{{{}}}", ident(workflow, axis))));
        if complete && (0..paths.len()).all(|job| filled(&pattern, job) == paths[job]) {
            return Some(pattern);
        }
    }
    None
}

/// Replaces a value by its wildcard in what is no wildcard yet.
fn split((done, text): (bool, String), value: &str, wildcard: &str) -> Vec<(bool, String)> {
    if done {
        return vec![(done, text)];
    }
    let mut out = Vec::new();
    for (number, piece) in text.split(value).enumerate() {
        if number > 0 {
            out.push((true, wildcard.to_owned()));
        }
        out.push((false, piece.to_owned()));
    }
    out
}

/// Refuses a path among the workflow's own files.
fn free(path: &Path) -> Result<(), ExportError> {
    let first = path.components().find(|part| *part != Component::CurDir);
    let own = [
        NODES,
        SUMMARIES,
        PARTS,
        LINEAGE,
        "exec",
        "profiles",
        "Snakefile",
        "config.yaml",
        "README.md",
        MARKER,
        ".celldag",
        ".snakemake",
    ];
    // What is new for a file that the user has changed is written beside it.
    let is_own = |name: &str| own.contains(&name.split_once(".new").map_or(name, |(file, _)| file));
    match first {
        Some(Component::Normal(name)) if name.to_str().is_some_and(is_own) => {
            Err(ExportError::Clash { path: PathBuf::from(path) })
        }
        _ => Ok(()),
    }
}
