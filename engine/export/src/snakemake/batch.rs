//! `batch:` of a node: one job works through all values of some axes, a step for each, so that each keeps its own result.

use super::combinations::expand;
use super::place::ident;
use super::text::python;
use crate::workflow::{Axis, Item, Output, Rule, Setting, Workflow};

/// The axes that a rule works through by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    /// Name of the axis and its values, the slowest axis first. Empty without `batch:`.
    axes: Vec<(String, Vec<String>)>,
}

impl Batch {
    /// What `batch:` of a node asks for, as far as a loop in a shell can do it: every combination has to exist, and what differs
    /// between the steps of a job has to be the value itself. Other rules have a job for each value, as without `batch:`.
    pub(super) fn of(workflow: &Workflow, rule: &Rule) -> Self {
        let own: Vec<&String> = rule.axes.iter().filter(|axis| rule.batch.contains(axis)).collect();
        let axes: Vec<(String, Vec<String>)> =
            own.iter().map(|axis| ((*axis).clone(), values(rule, axis))).collect();
        let batch = Self { axes };
        if batch.fits(workflow, rule) { batch } else { Self::default() }
    }

    fn fits(&self, workflow: &Workflow, rule: &Rule) -> bool {
        let all: usize = rule.axes.iter().map(|axis| values(rule, axis).len()).product();
        let plain = rule.axes.iter().all(|axis| workflow.axis(axis).is_some_and(Axis::is_plain));
        let feeds = rule.feeds.iter().all(|feed| {
            feed.items.same().is_some_and(|items| {
                items.iter().all(|item| self.takes(workflow, item, items.len(), feed.many))
            })
        });
        let params = rule.params.iter().all(|(_, setting)| match setting {
            Setting::Table(table) => {
                let itself = table.axes.len() == 1
                    && table.rows.iter().all(|(key, value)| value.as_ref() == key.first());
                itself || self.misses(&table.axes)
            }
            Setting::Same(_) => true,
        });
        let needs = match &rule.needs {
            Setting::Table(table) => self.misses(&table.axes),
            Setting::Same(_) => true,
        };
        // A job has one number of attempts for all its steps.
        let retried = rule.retried.iter().all(|(_, setting)| match setting {
            Setting::Table(table) => self.misses(&table.axes),
            Setting::Same(_) => true,
        });
        let files = rule.outputs.iter().all(Output::is_plain);
        all == rule.combinations.len()
            && plain
            && feeds
            && params
            && needs
            && retried
            && files
            && !rule.kind.spec.wants_lineage
    }

    fn takes(&self, workflow: &Workflow, item: &Item, items: usize, many: bool) -> bool {
        match item {
            Item::Join { rule, port, label } => {
                let outputs = &workflow.rules[*rule].outputs;
                let output = outputs.iter().find(|output| output.port == *port);
                // A list of inputs on one port is named all at once, whatever the value.
                let alone = items == 1 && !many;
                label.axes.is_empty()
                    && output.is_some_and(Output::is_plain)
                    && (alone || self.misses(&workflow.rules[*rule].axes))
            }
            Item::File { path: Setting::Table(table), .. } => self.misses(&table.axes),
            Item::File { .. } => true,
            Item::Gather { rule, members: Setting::Same(_), .. } => self.misses(&workflow.rules[*rule].axes),
            Item::Gather { .. } => false,
        }
    }

    fn misses(&self, axes: &[String]) -> bool {
        !self.axes.iter().any(|(axis, _)| axes.contains(axis))
    }

    /// Whether a rule is without it.
    pub(super) fn is_none(&self) -> bool {
        self.axes.is_empty()
    }

    /// How many steps a job runs.
    pub(super) fn steps(&self) -> u64 {
        self.axes.iter().map(|(_, values)| values.len() as u64).product()
    }

    /// Whether this axis is no wildcard of the rule.
    pub(super) fn has(&self, axis: &str) -> bool {
        self.axes.iter().any(|(own, _)| own == axis)
    }

    /// The variable of the shell that holds the value of an axis.
    pub(super) fn variable(workflow: &Workflow, axis: &str) -> String {
        format!("$at_{}", ident(workflow, axis))
    }

    /// All files of a pattern, as Python; `None` when it names no axis of the batch.
    pub(super) fn files(&self, workflow: &Workflow, pattern: &str) -> Option<String> {
        let named: Vec<&(String, Vec<String>)> = self
            .axes
            .iter()
            .filter(|(axis, _)| pattern.contains(&format!("{{{}}}", ident(workflow, axis))))
            .collect();
        if named.is_empty() {
            return None;
        }
        let names: Vec<String> = named.iter().map(|(axis, _)| axis.clone()).collect();
        let rows = named.iter().fold(vec![Vec::new()], |rows: Vec<Vec<String>>, (_, values)| {
            let longer =
                |row: &Vec<String>, value: &String| [row.as_slice(), std::slice::from_ref(value)].concat();
            rows.iter().flat_map(|row| values.iter().map(move |value| longer(row, value))).collect()
        });
        Some(expand(workflow, pattern, &names, &rows, true))
    }

    /// The file of a pattern that belongs to one step, as a word of the shell.
    pub(super) fn file(&self, workflow: &Workflow, rule: &Rule, pattern: &str) -> String {
        let text = rule.axes.iter().fold(pattern.to_owned(), |text, axis| {
            let name = ident(workflow, axis);
            let value =
                if self.has(axis) { Self::variable(workflow, axis) } else { format!("{{wildcards.{name}}}") };
            text.replace(&format!("{{{name}}}"), &value)
        });
        format!("\"{text}\"")
    }

    /// The command for each value.
    pub(super) fn repeat(&self, workflow: &Workflow, command: &str) -> String {
        if self.is_none() {
            return command.to_owned();
        }
        let head: Vec<String> = self
            .axes
            .iter()
            .map(|(axis, values)| format!("for at_{} in {}; do", ident(workflow, axis), values.join(" ")))
            .collect();
        let tail = vec!["done"; self.axes.len()].join("; ");
        format!("{}\n        {command}\n        {tail}", head.join(" "))
    }

    /// A pattern as the input or output of the rule.
    pub(super) fn named(&self, workflow: &Workflow, pattern: &str) -> String {
        self.files(workflow, pattern).unwrap_or_else(|| python(pattern))
    }
}

/// Values that some job of the rule has, in their order.
fn values(rule: &Rule, axis: &str) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for value in rule.combinations.iter().filter_map(|at| at.get(axis)) {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values
}
