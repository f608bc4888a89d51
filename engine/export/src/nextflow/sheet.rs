//! The jobs of a rule as a table, one row each: what `splitCsv` reads and a task knows as `meta`.

use std::collections::BTreeSet;

use celldag_engine::Pipeline;

use super::text::word;
use crate::error::ExportError;
use crate::workflow::{Names, Rule, Setting, Workflow, encode};

/// A sheet, and under which names the writer finds what it holds.
pub(super) struct Sheet {
    /// Column of the job's id.
    pub(super) id: String,
    /// Column of a name that no other job has and that is good for a file.
    pub(super) name: String,
    columns: Vec<(String, Vec<String>)>,
    names: Names,
}

impl Sheet {
    pub(super) fn of(workflow: &Workflow, rule: &Rule, pipeline: &Pipeline) -> Result<Self, ExportError> {
        let mut names = Names::default();
        workflow.axes.iter().for_each(|axis| names.occupy(&axis.ident));
        let (id, name) = (names.take("id"), names.take("name"));
        let mut sheet = Self { id: id.clone(), name: name.clone(), columns: Vec::new(), names };
        let ids: Vec<String> = rule.jobs.iter().map(|job| pipeline.jobs[*job].id.clone()).collect();
        sheet.columns.push((name, slugs(rule)));
        for axis in &rule.axes {
            let ident = ident(workflow, axis);
            let values =
                rule.combinations.iter().map(|at| at.get(axis).cloned().unwrap_or_default()).collect();
            sheet.columns.push((ident, values));
        }
        sheet.columns.insert(0, (id, ids));
        sheet.check(rule)?;
        Ok(sheet)
    }

    /// Adds a column; its name, as far as it is free.
    pub(super) fn add(&mut self, wanted: &str, cells: Vec<String>) -> String {
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
        let cells =
            rule.combinations.iter().map(|at| setting.at(at).map(&text).unwrap_or_default()).collect();
        self.add(wanted, cells)
    }

    /// Values that a quote in a script or a cell of the sheet cannot hold.
    fn check(&self, rule: &Rule) -> Result<(), ExportError> {
        for (column, cells) in &self.columns {
            if let Some(value) = cells.iter().find(|cell| cell.contains('\'') || !fits(cell)) {
                return Err(ExportError::Cell {
                    node: rule.node.clone(),
                    column: column.clone(),
                    value: value.clone(),
                });
            }
        }
        Ok(())
    }

    /// The file names of the jobs.
    pub(super) fn names(&self) -> &[String] {
        self.columns
            .iter()
            .find(|(column, _)| *column == self.name)
            .map_or(&[], |(_, cells)| cells.as_slice())
    }

    /// The file.
    pub(super) fn text(&self, rule: &Rule) -> Result<String, ExportError> {
        let mut out = self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("\t");
        out.push('\n');
        for row in 0..rule.jobs.len() {
            for (at, (column, cells)) in self.columns.iter().enumerate() {
                let cell = &cells[row];
                if !fits(cell) {
                    let (node, column, value) = (rule.node.clone(), column.clone(), cell.clone());
                    return Err(ExportError::Cell { node, column, value });
                }
                out.push_str(if at == 0 { "" } else { "\t" });
                out.push_str(cell);
            }
            out.push('\n');
        }
        Ok(out)
    }
}

/// Tabs and line ends would end a cell; `splitCsv` takes a quote at its beginning for the beginning of a quoted one.
fn fits(cell: &str) -> bool {
    !cell.contains(['\t', '\n', '\r']) && !cell.starts_with('"')
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
        // Nextflow takes the indent off every line of a script, also off those of a value.
        if let Some(value) = value.as_ref().filter(|value| value.contains(['\n', '\r'])) {
            let (node, column, value) = (rule.node.clone(), name.to_owned(), value.clone());
            return Err(ExportError::Cell { node, column, value });
        }
        return Ok(value.is_some().then(|| super::text::inside(&argument(value))));
    }
    let is_axis = |axis: &&String| {
        rule.combinations.iter().all(|at| setting.at(at).is_some_and(|value| value.as_ref() == at.get(*axis)))
    };
    if let Some(axis) = rule.axes.iter().find(is_axis) {
        return Ok(Some(format!("--with '{name}=${{meta.{}}}'", ident(workflow, axis))));
    }
    let column = sheet.setting(&format!("with_{name}"), rule, setting, argument);
    Ok(Some(format!("${{meta.{column} ?: ''}}")))
}
