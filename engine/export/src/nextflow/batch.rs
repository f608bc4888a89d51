//! `batch:` of a node: a task takes the jobs at all values of some axes, and works through them one after the other, a step
//! each, so that each has its own key and its own result.
//!
//! ```text
//! channel of jobs -> groupTuple -> tuple of a batch -> process -> of_jobs -> channel of jobs
//! ```
//! The tuple of a batch has, for each input, all files of its jobs, each once, and for each job its places among them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sheet::Sheet;
use super::take::{Shape, Take, variables};
use crate::workflow::{Names, Output, Rule};

/// Functions that main.nf needs where some node has batches. `name`: column of the names of jobs.
pub(super) fn functions(name: &str) -> String {
    FUNCTIONS.replace("meta.name", &format!("meta.{name}"))
}

const FUNCTIONS: &str = r#"
// All files that the jobs of a batch have in one column, each once.
def files_of(rows, column) {
    rows.collectMany { row -> [row[column]].flatten() }.unique()
}

// For each job of a batch, the places of its files among all of them.
def places_of(rows, column) {
    def all = files_of(rows, column)
    rows.collect { row -> [row[column]].flatten().collect { file -> all.indexOf(file) } }
}

// What batches made, as results of single jobs: `*` in the path stands for the name of the job.
def of_jobs(results, path) {
    results.flatMap { batch, files ->
        batch.collect { meta -> tuple(meta, files.find { file -> file.toString().endsWith('/' + path.replace('*', meta.name)) }) }
    }
}
"#;

/// The batches of a rule.
#[derive(Clone)]
pub(super) struct Batch {
    /// Column of the batch's name.
    pub(super) name: String,
    /// Column of how many jobs it has.
    size: String,
    /// Column of the job's name.
    job: String,
    /// Jobs of the largest batch.
    pub(super) most: u64,
    /// What the tuple of a batch holds.
    pub(super) takes: Vec<Take>,
    /// Statements of the script that give the inputs of one job.
    pub(super) unpack: String,
}

/// Whether tasks of a rule are batches. Results are found by a pattern, which a name with the signs of one is not, and which
/// does not find hidden files.
pub(super) fn has(rule: &Rule) -> bool {
    let hidden = |output: &Output| output.file.split('/').any(|part| part.starts_with('.'));
    !rule.batch.is_empty()
        && super::shards::count(rule).is_none()
        && rule.outputs.iter().all(|output| output.is_plain() && !hidden(output))
        && batches(rule).values().any(|jobs| *jobs > 1)
}

/// The batches, by the values of the other axes, and how many jobs each has.
fn batches(rule: &Rule) -> BTreeMap<Vec<&str>, u64> {
    let mut batches = BTreeMap::new();
    for row in 0..rule.combinations.len() {
        *batches.entry(others(rule, row)).or_insert(0) += 1;
    }
    batches
}

/// The values of the axes that are not worked through by a task.
fn others(rule: &Rule, row: usize) -> Vec<&str> {
    let axes = rule.axes.iter().filter(|axis| !rule.batch.contains(axis));
    axes.filter_map(|axis| rule.combinations[row].get(axis)).map(String::as_str).collect()
}

impl Batch {
    /// The batches of a rule whose jobs take this each.
    pub(super) fn of(rule: &Rule, sheet: &mut Sheet, takes: &[Take]) -> Self {
        let batches = batches(rule);
        let rows = 0..rule.combinations.len();
        let name = |row: usize| {
            let value = |axis: &String| {
                let own = rule.combinations[row].get(axis).map_or("", String::as_str);
                format!("{axis}={}", if rule.batch.contains(axis) { "*" } else { own })
            };
            Value::from(format!(
                "{}[{}]",
                rule.node,
                rule.axes.iter().map(value).collect::<Vec<_>>().join(",")
            ))
        };
        let names = rows.clone().map(name).collect();
        let sizes = rows.map(|row| Value::from(batches[&others(rule, row)])).collect();
        let mut batch = Self {
            name: sheet.add("batch", names),
            size: sheet.add("batch_jobs", sizes),
            job: sheet.name.clone(),
            most: batches.values().copied().max().unwrap_or(1),
            takes: vec![Take::new("batch", Shape::Value)],
            unpack: String::new(),
        };
        let mut names = crate::modules::variables();
        takes.iter().for_each(|take| names.occupy(&take.variable));
        takes.iter().skip(1).for_each(|take| batch.take(take, &mut names));
        batch
    }

    /// An input of one job as inputs of the batch.
    fn take(&mut self, one: &Take, names: &mut Names) {
        let variable = &one.variable;
        match one.shape {
            Shape::Folder => self.takes.push(one.clone()),
            Shape::Value => {
                let all = names.take(&format!("{variable}_all"));
                self.unpack.push_str(&format!("        def {variable} = {all}[number]\n"));
                self.takes.push(Take::new(all, Shape::Value));
            }
            Shape::File | Shape::Optional | Shape::Files(_) => {
                let all = names.take(&format!("{variable}_all"));
                let places = names.take(&format!("{variable}_places"));
                let own = match one.shape {
                    Shape::File => format!("{all}[{places}[number][0]]"),
                    Shape::Optional => format!("{places}[number] ? {all}[{places}[number][0]] : null"),
                    _ => format!("{places}[number].collect {{ place -> {all}[place] }}"),
                };
                self.unpack.push_str(&format!("        def {variable} = {own}\n"));
                let least = u8::from(!matches!(one.shape, Shape::Optional | Shape::Files(0)));
                self.takes.push(Take::new(all, Shape::Files(least)));
                self.takes.push(Take::new(places, Shape::Value));
            }
        }
    }

    /// The channel of batches, as an expression: `channel` has a tuple of `takes` for each job.
    pub(super) fn channel(&self, channel: &str, takes: &[Take]) -> String {
        let names = variables(takes);
        let mut columns = vec!["rows.collect { row -> row[0] }".to_owned()];
        for (column, take) in takes.iter().enumerate().skip(1) {
            match take.shape {
                Shape::Value => columns.push(format!("rows.collect {{ row -> row[{column}] }}")),
                Shape::Folder => columns.push(format!("files_of(rows, {column})")),
                Shape::File | Shape::Optional | Shape::Files(_) => {
                    columns.push(format!("files_of(rows, {column})"));
                    columns.push(format!("places_of(rows, {column})"));
                }
            }
        }
        let columns = if let [jobs] = columns.as_slice() {
            jobs.clone()
        } else {
            format!("tuple({})", columns.join(", "))
        };
        let Self { name, size, job, .. } = self;
        format!(
            "{channel}
        .map {{ {names} -> tuple(groupKey(meta.{name}, meta.{size}), [{names}]) }}
        .groupTuple()
        .map {{ _batch, rows -> rows.toSorted {{ row -> row[0].{job} }} }}
        .map {{ rows -> {columns} }}"
        )
    }
}
