//! What differs between two actions, field by field, in words a user knows: the base of plan reasons, `why` and the
//! comparison of runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action::{Action, ActionInput, Numerics};

/// Longest value that a message shows in full, in characters.
const SHOWN: usize = 60;

/// One difference between an action then and now. `None` stands for "was not there".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
pub enum Change {
    /// The node has another kind.
    Kind {
        /// Then.
        before: String,
        /// Now.
        after: String,
    },
    /// The kind computes something else than it did.
    Epoch {
        /// The kind.
        kind: String,
        /// Then.
        before: u32,
        /// Now.
        after: u32,
    },
    /// The program that does the work is another one.
    Program {
        /// What of it: `version`, or a file.
        what: String,
        /// Then.
        before: Option<String>,
        /// Now.
        after: Option<String>,
    },
    /// A part of the kind computes something else than it did, or is not the one that it was.
    Part {
        /// The part.
        part: String,
        /// Its epoch then.
        before: Option<u32>,
        /// Its epoch now.
        after: Option<u32>,
    },
    /// A parameter of class `result`.
    Param {
        /// Its name.
        name: String,
        /// Then.
        before: Option<Value>,
        /// Now.
        after: Option<Value>,
    },
    /// The content on an input port.
    Input {
        /// The port.
        port: String,
        /// Label of a gathered artifact; empty for a single one.
        label: String,
        /// Digest then.
        before: Option<String>,
        /// Digest now.
        after: Option<String>,
    },
    /// Type or format of an output port.
    Output {
        /// The port.
        port: String,
        /// Type and file then.
        before: Option<String>,
        /// Type and file now.
        after: Option<String>,
    },
    /// `numerics`, or the device under `numerics: strict`.
    Numerics {
        /// Then.
        before: String,
        /// Now.
        after: String,
    },
    /// `salt:` of the pipeline.
    Salt {
        /// Then.
        before: String,
        /// Now.
        after: String,
    },
    /// What a node above reported, or the shape of the graph above.
    Lineage {
        /// The node above, and the fact where there is one (`qc.cells_out`).
        what: String,
        /// Then.
        before: Option<Value>,
        /// Now.
        after: Option<Value>,
    },
    /// The encoding of actions itself.
    Schema {
        /// Then.
        before: String,
        /// Now.
        after: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { before, after } => write!(f, "kind changed {before} → {after}"),
            Self::Epoch { kind, before, after } => write!(f, "kind {kind} epoch {before} → {after}"),
            Self::Part { part, before: Some(before), after: Some(after) } => {
                write!(f, "{part} epoch {before} → {after}")
            }
            Self::Part { part, before, after } => {
                write!(f, "{part} {}", verb(before.is_some(), after.is_some()))
            }
            Self::Program { what, before: Some(before), after: Some(after) } if what == "version" => {
                write!(f, "version of the program changed {before} → {after}")
            }
            Self::Program { what, before, after } => {
                write!(f, "{what} of the program {}", verb(before.is_some(), after.is_some()))
            }
            Self::Param { name, before: None, after: Some(after) } => {
                write!(f, "parameter {name} is new: {}", short(after))
            }
            Self::Param { name, after: None, .. } => write!(f, "parameter {name} is gone"),
            Self::Param { name, before: Some(before), after: Some(after) } => {
                write!(f, "parameter {name} changed {} → {}", short(before), short(after))
            }
            Self::Input { port, label, before, after } => {
                let verb = verb(before.is_some(), after.is_some());
                if label.is_empty() {
                    write!(f, "input {port} {verb}")
                } else {
                    write!(f, "input {port}[{label}] {verb}")
                }
            }
            Self::Output { port, before, after } => match (before, after) {
                (Some(before), Some(after)) => write!(f, "output {port} changed {before} → {after}"),
                (before, after) => write!(f, "output {port} {}", verb(before.is_some(), after.is_some())),
            },
            Self::Numerics { before, after } => write!(f, "numerics changed {before} → {after}"),
            Self::Salt { before, after } => write!(f, "salt changed \"{before}\" → \"{after}\""),
            Self::Lineage { what, before: Some(before), after: Some(after) } => {
                write!(f, "upstream {what} changed {} → {}", short(before), short(after))
            }
            Self::Lineage { what, before, after } => {
                write!(f, "upstream {what} {}", verb(before.is_some(), after.is_some()))
            }
            Self::Schema { before, after } => write!(f, "encoding of keys changed {before} → {after}"),
        }
    }
}

fn verb(before: bool, after: bool) -> &'static str {
    match (before, after) {
        (false, true) => "was added",
        (true, false) => "was removed",
        _ => "changed",
    }
}

/// A value as a user would write it, cut to a readable length. Whole floats lose their `.0`, as in YAML.
pub(crate) fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
        }
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    let mut cut: String = text.chars().take(SHOWN - 1).collect();
    cut.push('…');
    cut
}

/// All differences of two actions, in a fixed order. Empty exactly when the keys are equal (seeds follow from the
/// rest).
#[must_use]
pub fn compare(before: &Action, after: &Action) -> Vec<Change> {
    let mut changes = Vec::new();
    if before.schema != after.schema {
        changes.push(Change::Schema { before: before.schema.clone(), after: after.schema.clone() });
    }
    if before.kind != after.kind {
        changes.push(Change::Kind { before: before.kind.clone(), after: after.kind.clone() });
    } else if before.epoch != after.epoch {
        changes.push(Change::Epoch { kind: after.kind.clone(), before: before.epoch, after: after.epoch });
    }
    let parts = || both(&before.parts, &after.parts);
    for (part, before, after) in parts() {
        if before.is_some() && after.is_some() {
            changes.push(Change::Part { part, before: before.copied(), after: after.copied() });
        }
    }
    for (what, before, after) in both(&before.program, &after.program) {
        changes.push(Change::Program { what, before: before.cloned(), after: after.cloned() });
    }
    for (name, before, after) in both(&before.params, &after.params) {
        changes.push(Change::Param { name, before: before.cloned(), after: after.cloned() });
    }
    inputs(before, after, &mut changes);
    if before.shard != after.shard {
        let value = |action: &Action| action.shard.clone().map(Value::String);
        changes.push(Change::Param { name: "shard".to_owned(), before: value(before), after: value(after) });
    }
    for (port, before, after) in both(&before.outputs, &after.outputs) {
        let text = |o: &crate::action::ActionOutput| format!("{} as {}", o.ty, o.file);
        changes.push(Change::Output { port, before: before.map(text), after: after.map(text) });
    }
    if before.numerics != after.numerics {
        changes.push(Change::Numerics { before: numerics(before), after: numerics(after) });
    }
    if before.salt != after.salt {
        changes.push(Change::Salt { before: before.salt.clone(), after: after.salt.clone() });
    }
    if before.lineage != after.lineage {
        lineage(&before.lineage, &after.lineage, &mut changes);
    }
    if changes.is_empty() {
        // Where a parameter chose another part, the parameter says it.
        for (part, before, after) in parts() {
            changes.push(Change::Part { part, before: before.copied(), after: after.copied() });
        }
    }
    changes
}

fn numerics(action: &Action) -> String {
    match &action.numerics {
        Numerics::Tolerant => "tolerant".to_owned(),
        Numerics::Strict(device) => {
            let parts = ["strict on", &device.backend, &device.adapter, &device.driver];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Entries that differ between two maps, by name.
fn both<'a, V: PartialEq>(
    before: &'a BTreeMap<String, V>,
    after: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = (String, Option<&'a V>, Option<&'a V>)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| (name.clone(), before.get(name), after.get(name)))
        .filter(|(_, before, after)| before != after)
}

fn inputs(before: &Action, after: &Action, changes: &mut Vec<Change>) {
    let by_label = |list: Option<&Vec<ActionInput>>| -> BTreeMap<String, String> {
        list.into_iter().flatten().map(|input| (input.label.clone(), input.digest.clone())).collect()
    };
    for (port, was, is) in both(&before.inputs, &after.inputs) {
        for (label, before, after) in both(&by_label(was), &by_label(is)) {
            let (before, after) = (before.cloned(), after.cloned());
            changes.push(Change::Input { port: port.clone(), label, before, after });
        }
    }
}

fn lineage(before: &Value, after: &Value, changes: &mut Vec<Change>) {
    // Node, then field, then fact: so that one changed count is named instead of the whole list.
    let flat = |list: &Value| -> BTreeMap<String, Value> {
        let mut flat = BTreeMap::new();
        for entry in list.as_array().into_iter().flatten() {
            let node = entry.get("node").and_then(Value::as_str).unwrap_or("?");
            for (field, value) in entry.as_object().into_iter().flatten() {
                match (field.as_str(), value) {
                    ("node", _) => {}
                    ("facts", Value::Object(facts)) => flat
                        .extend(facts.iter().map(|(fact, value)| (format!("{node}.{fact}"), value.clone()))),
                    _ => {
                        flat.insert(format!("{node} ({field})"), value.clone());
                    }
                }
            }
        }
        flat
    };
    let found = changes.len();
    let (was, is) = (flat(before), flat(after));
    for (what, before, after) in both(&was, &is) {
        changes.push(Change::Lineage { what, before: before.cloned(), after: after.cloned() });
    }
    if changes.len() == found {
        // Only the order of nodes differs.
        changes.push(Change::Lineage { what: "order of nodes".to_owned(), before: None, after: None });
    }
}
