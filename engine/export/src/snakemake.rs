//! A workflow for Snakemake: a Snakefile with a rule for each node, what it looks up, profiles, and how to run it.

mod batch;
mod combinations;
mod group;
mod helpers;
mod input;
mod outputs;
mod place;
mod readme;
mod rule;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use celldag_engine::{Pipeline, lineage_skeleton};
use serde_json::{Map, Value, json};

use crate::error::ExportError;
use crate::folder::Files;
use crate::workflow::{Axis, Names, Workflow};
use place::{LINEAGE, SUMMARIES, of_job};

/// What an export may be told besides the pipeline.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the export will be: paths of the user below it are written relative to it.
    pub folder: PathBuf,
    /// The store that steps share, if it is to be written down.
    pub store: Option<String>,
    /// Arguments for `celldag runs import` that name the pipeline: its path, `--set`, `--profile`.
    pub pipeline: Vec<String>,
    /// Nodes whose jobs share cluster jobs.
    pub small: BTreeSet<String>,
}

/// The files of the export.
///
/// # Errors
/// When the pipeline has what no step can do, or a path that cannot be written down.
pub fn snakemake(pipeline: &Pipeline, options: &Options) -> Result<Files, ExportError> {
    let mut workflow = Workflow::of(pipeline)?;
    workflow.localise(&options.folder)?;
    let mut tables: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    let mut called = BTreeSet::new();
    let mut rules = Vec::new();
    let mut names = Names::default();
    workflow.axes.iter().for_each(|axis| names.occupy(&axis.ident));
    workflow.rules.iter().for_each(|rule| names.occupy(&rule.ident));
    let groups = group::groups(&workflow, &options.small);
    for (rule, group) in workflow.rules.iter().zip(&groups) {
        let (text, lines) = rule::write(&workflow, rule, group.as_deref(), &mut names);
        rules.push(text);
        called.extend(lines.helpers);
        for (section, nodes) in lines.tables {
            tables.entry(section).or_default().extend(nodes);
        }
    }
    let deliveries = outputs::write(pipeline, &workflow, &mut names)?;
    let mut config = Map::new();
    config.insert("celldag".to_owned(), json!("celldag"));
    config.insert("cache".to_owned(), json!(options.store));
    config.insert("device".to_owned(), json!("auto"));
    config.insert("threads".to_owned(), json!(4));
    config.insert("pipeline".to_owned(), json!(options.pipeline));
    if !workflow.axes.is_empty() {
        config.insert("axes".to_owned(), combinations::axes(&workflow));
    }
    for (section, nodes) in tables {
        config.insert(section.to_owned(), Value::Object(nodes.into_iter().collect()));
    }
    if !deliveries.listed.is_empty() {
        config.insert("outputs".to_owned(), Value::Object(deliveries.listed.clone()));
    }

    let mut files = Files::new();
    let snakefile = [
        head(&workflow, &called, &deliveries),
        rules.join("\n\n"),
        "\n\n".to_owned(),
        deliveries.rules,
        END.to_owned(),
    ];
    files.insert("Snakefile".into(), snakefile.concat());
    files.insert("config.yaml".into(), readme::config(&config));
    files.insert("README.md".into(), readme::readme(&workflow));
    files.insert("profiles/local/config.yaml".into(), readme::LOCAL.to_owned());
    files.insert("profiles/slurm/config.yaml".into(), readme::SLURM.to_owned());
    files.extend(workflow.rules.iter().filter_map(|rule| rule.runs.entry()));
    lineages(pipeline, &workflow, &mut files);
    Ok(files)
}

/// Everything before the rules of nodes.
fn head(workflow: &Workflow, called: &BTreeSet<&'static str>, deliveries: &outputs::Deliveries) -> String {
    let jobs: usize = workflow.rules.iter().map(|rule| rule.jobs.len()).sum();
    let name: String = workflow.name.chars().filter(|c| !c.is_control()).collect();
    let mut text = format!(
        "# {name}: {} rules, {jobs} jobs. Written by `celldag export snakemake`, which writes it again when the pipeline changes.\n",
        workflow.rules.len()
    );
    text.push_str(HEAD);
    let mut more = String::new();
    if !workflow.salt.is_empty() {
        more.push_str(&format!("STEP += \" --salt \" + quote({})\n", text::python(&workflow.salt)));
    }
    if workflow.strict_numerics {
        more.push_str("STEP += \" --strict-numerics\"\n");
    }
    text.push_str(&more);
    if !workflow.axes.is_empty() {
        text.push_str("# The values of each axis, as they stand in paths.\nAXES = config[\"axes\"]\n\n\nwildcard_constraints:\n");
        for Axis { ident, .. } in &workflow.axes {
            text.push_str(&format!(
                "    {ident}=\"|\".join(map(re.escape, AXES[{}])),\n",
                text::python(ident)
            ));
        }
    }
    let helpers = helpers::text(called);
    if !helpers.is_empty() {
        text.push_str(&format!("\n\n{helpers}"));
    }
    let local: Vec<&str> = ["all"].into_iter().chain(deliveries.names.iter().map(String::as_str)).collect();
    text.push_str(&format!("\n\nlocalrules: {}\n\n\nrule all:\n    input:\n", local.join(", ")));
    for wanted in &deliveries.wanted {
        text.push_str(&format!("        {wanted},\n"));
    }
    text.push_str("\n\n");
    text
}

const HEAD: &str = r#"import os
import re
from pathlib import Path
from shlex import quote
from urllib.parse import unquote


configfile: "config.yaml"


# One store for all steps: what it holds is not computed again, here or by `celldag run`. `cache: false` keeps none.
CACHE = "" if config["cache"] is False else config["cache"] or os.environ.get("CELLDAG_CACHE") or ".celldag"
CELLDAG = quote(config["celldag"])
STEP = f"{CELLDAG} step " + (f"--cache {quote(CACHE)}" if CACHE else "--no-cache")
DEVICE = config["device"]
"#;

const END: &str = r#"# The run is then one for `celldag report`, `celldag runs` and `celldag plan`.
onsuccess:
    if CACHE:
        imported = " ".join(quote(word) for word in config["pipeline"])
        command = f"{CELLDAG} runs import {imported} --by snakemake --cache {quote(CACHE)} --device {quote(DEVICE)}"
        # As a value, since braces in the text of a command name things.
        shell("{command} || true")
"#;

/// The nodes above each job that tells of them, and where those leave what they have to say.
fn lineages(pipeline: &Pipeline, workflow: &Workflow, files: &mut Files) {
    let mut summary = vec![String::new(); pipeline.jobs.len()];
    for rule in workflow.rules.iter().filter(|rule| rule.summarised) {
        for (job, at) in rule.jobs.iter().zip(&rule.combinations) {
            summary[*job] = format!("{}/summary.json", of_job(SUMMARIES, rule, at));
        }
    }
    let place: BTreeMap<&str, usize> =
        pipeline.jobs.iter().enumerate().map(|(index, job)| (job.id.as_str(), index)).collect();
    for rule in workflow.rules.iter().filter(|rule| rule.kind.spec.wants_lineage) {
        for (job, at) in rule.jobs.iter().zip(&rule.combinations) {
            let folder = PathBuf::from(of_job(LINEAGE, rule, at));
            let skeleton = lineage_skeleton(pipeline, *job);
            let jobs =
                skeleton["nodes"].as_array().into_iter().flatten().flat_map(|node| node["jobs"].as_array());
            let jobs = jobs.flatten().filter_map(Value::as_str).filter_map(|id| place.get(id));
            let above: String = jobs.map(|job| format!("{}\n", summary[*job])).collect();
            files.insert(folder.join("lineage.json"), format!("{skeleton}\n"));
            files.insert(folder.join("above.txt"), above);
        }
    }
}

impl Workflow {
    /// Writes the user's files relative to the folder of the export where they lie below it.
    fn localise(&mut self, folder: &Path) -> Result<(), ExportError> {
        use crate::workflow::{Item, Setting};
        let local = |node: &str, port: &str, path: &mut PathBuf| {
            if let Ok(below) = path.strip_prefix(folder)
                && !folder.as_os_str().is_empty()
            {
                *path = below.to_owned();
            }
            let text = path.to_str().ok_or_else(|| ExportError::NotText { path: path.clone() })?;
            place::unbraced(node, port, text)
        };
        for rule in &mut self.rules {
            for feed in &mut rule.feeds {
                let items: Vec<&mut Item> = match &mut feed.items {
                    Setting::Same(items) => items.iter_mut().collect(),
                    Setting::Table(table) => table.rows.iter_mut().flat_map(|(_, items)| items).collect(),
                };
                for item in items {
                    let Item::File { path, .. } = item else { continue };
                    let paths: Vec<&mut PathBuf> = match path {
                        Setting::Same(path) => vec![path],
                        Setting::Table(table) => table.rows.iter_mut().map(|(_, path)| path).collect(),
                    };
                    paths.into_iter().try_for_each(|path| local(&rule.node, &feed.port, path))?;
                }
            }
        }
        Ok(())
    }
}
