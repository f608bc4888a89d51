//! The jobs of a rule as a list of JSON objects, one each: what `splitJson` reads and a task knows as `meta`.

use std::collections::BTreeSet;

use celldag_engine::Pipeline;
use serde_json::Value;

use super::text::{inside, json, word};
use crate::error::ExportError;
use crate::workflow::{Names, Rule, Setting, Workflow, encode};

/// A sheet, and under which names the writer finds what it holds.
pub(super) struct Sheet {
    /// Column of the job's id.
    pub(super) id: String,
    /// Column of a name that no other job has and that is good for a file.
    pub(super) name: String,
    columns: Vec<(String, Vec<Value>)>,
    /// The file names of the jobs.
    files: Vec<String>,
    names: Names,
}

impl Sheet {
    pub(super) fn of(workflow: &Workflow, rule: &Rule, pipeline: &Pipeline) -> Self {
        let mut names = Names::default();
        workflow.axes.iter().for_each(|axis| names.occupy(&axis.ident));
        let (id, name) = (names.take("id"), names.take("name"));
        let files = slugs(rule);
        let mut sheet = Self { id: id.clone(), name: name.clone(), columns: Vec::new(), files, names };
        let ids = rule.jobs.iter().map(|job| pipeline.jobs[*job].id.clone().into()).collect();
        sheet.columns.push((id, ids));
        sheet.columns.push((name, sheet.files.iter().cloned().map(Value::from).collect()));
        for axis in &rule.axes {
            let values = rule.combinations.iter().map(|at| at.get(axis).cloned().unwrap_or_default().into());
            sheet.columns.push((ident(workflow, axis), values.collect()));
        }
        sheet
    }

    /// Adds a column; its name, as far as it is free.
    pub(super) fn add(&mut self, wanted: &str, cells: Vec<Value>) -> String {
        let name = self.names.take(wanted);
        self.columns.push((name.clone(), cells));
        name
    }

    /// Adds a column of what each job has.
    pub(super) fn setting<T: Ord + Clone>(
        &mut self,
        wanted: &str,
        rule: &Rule,
        setting: &Setting<T>,
        text: impl Fn(&T) -> String,
    ) -> String {
        let cell = |at| setting.at(at).map(&text).unwrap_or_default().into();
        let cells = rule.combinations.iter().map(cell).collect();
        self.add(wanted, cells)
    }

    /// The file names of the jobs.
    pub(super) fn names(&self) -> &[String] {
        &self.files
    }

    /// The file: a line for each job.
    pub(super) fn text(&self, rule: &Rule) -> Result<String, ExportError> {
        let mut rows = Vec::new();
        for row in 0..rule.jobs.len() {
            let mut cells = Vec::new();
            for (column, values) in &self.columns {
                cells.push(format!("{}: {}", json(&column.as_str().into()), json(&values[row])));
                if let Some(value) = values[row].as_str() {
                    no_nul(rule, column, value)?;
                }
            }
            rows.push(format!("  {{{}}}", cells.join(", ")));
        }
        Ok(format!("[\n{}\n]\n", rows.join(",\n")))
    }
}

/// No argument of a program can hold it.
fn no_nul(rule: &Rule, column: &str, value: &str) -> Result<(), ExportError> {
    if value.contains('\0') {
        let (node, column, value) = (rule.node.clone(), column.to_owned(), value.to_owned());
        return Err(ExportError::Cell { node, column, value });
    }
    Ok(())
}

/// `head-scgpt-3`, or with a number where two jobs would be called alike.
fn slugs(rule: &Rule) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut out = Vec::new();
    for at in &rule.combinations {
        let values = rule.axes.iter().filter_map(|axis| at.get(axis)).map(|value| encode(value));
        let plain = std::iter::once(rule.ident.clone()).chain(values).collect::<Vec<_>>().join("-");
        let numbered = (2_usize..).map(|n| format!("{plain}_{n}"));
        let name = std::iter::once(plain.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
        out.push(name.unwrap_or(plain));
    }
    out
}

/// The axis as a key of `meta`.
pub(super) fn ident(workflow: &Workflow, axis: &str) -> String {
    workflow.axis(axis).map_or_else(|| axis.to_owned(), |axis| axis.ident.clone())
}

/// A parameter of a rule as arguments of `celldag step`, to stand in a script.
pub(super) fn with(
    workflow: &Workflow,
    rule: &Rule,
    sheet: &mut Sheet,
    name: &str,
    setting: &Setting<Option<String>>,
) -> Result<Option<String>, ExportError> {
    let argument = |value: &Option<String>| {
        value.as_ref().map(|value| format!("--with {}", word(&format!("{name}={value}")))).unwrap_or_default()
    };
    if let Setting::Same(value) = setting {
        no_nul(rule, name, value.as_deref().unwrap_or_default())?;
        return Ok(value.is_some().then(|| inside(&argument(value))));
    }
    let is_axis = |axis: &&String| {
        rule.combinations.iter().all(|at| setting.at(at).is_some_and(|value| value.as_ref() == at.get(*axis)))
    };
    if let Some(axis) = rule.axes.iter().find(is_axis) {
        return Ok(Some(format!("--with {name}=${{quote(meta.{})}}", ident(workflow, axis))));
    }
    // As words of Bash: some jobs have none.
    let column = sheet.setting(&format!("with_{name}"), rule, setting, argument);
    Ok(Some(format!("${{meta.{column}}}")))
}
