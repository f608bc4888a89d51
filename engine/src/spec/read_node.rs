//! One entry of `nodes:`: which keys a node has and which shapes they take.

use std::time::Duration;

use super::choice::{is_choice, no_axis, split};
use super::dispatch::{DispatchDef, read_dispatch};
use super::document::{CombinationDef, InputDef, InputItem, NodeDef, Text};
use super::exec;
use super::read::{Fields, choice, entries, text, wrong_shape};
use super::resources::read_resources;
use super::retries::{RetriesDef, read_retries};
use super::value::{Data, Key, Tree};
use crate::diagnostic::Diagnostic;

const NODE: &[&str] = &[
    "uses",
    "foreach",
    "in",
    "with",
    "keep",
    "resources",
    "retries",
    "timeout",
    "shards",
    "batch",
    "exclude",
    "include",
    "when",
    "run",
    "env",
    "code",
    "version",
    "secrets",
    "out",
];

/// Reads one node.
pub(super) fn read_node(name: Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> NodeDef {
    let mut node = NodeDef {
        name,
        uses: None,
        foreach: Vec::new(),
        inputs: Vec::new(),
        with: Vec::new(),
        temporary: false,
        retries: RetriesDef::default(),
        timeout: None,
        resources: Vec::new(),
        dispatch: DispatchDef::default(),
        exclude: Vec::new(),
        include: Vec::new(),
        when: None,
        exec: None,
    };
    let Some(fields) = Fields::read(tree, "a node", NODE, out) else { return node };
    match fields.get("uses") {
        Some((key, value)) => node.uses = text(key, value, out),
        None => out.push(
            Diagnostic::error(
                "celldag::pipeline::missing_uses",
                format!("node `{}` has no `uses:`", node.name.name),
            )
            .at(node.name.span.clone(), "which kind is it?")
            .help("add `uses: KIND`; `celldag nodes` lists the kinds"),
        ),
    }
    if let Some((key, value)) = fields.get("foreach") {
        node.foreach = texts(key, value, out);
    }
    for (port, value) in entries(&fields, "in", out) {
        let input = input(&port, &value, out);
        node.inputs.push((port, input));
    }
    node.with = entries(&fields, "with", out);
    if let Some((key, value)) = fields.get("keep") {
        node.temporary = choice(key, value, &["temp", "always"], out).is_some_and(|word| word == "temp");
    }
    if let Some((key, value)) = fields.get("retries") {
        node.retries = read_retries(key, value, out);
    }
    if let Some((key, value)) = fields.get("timeout") {
        node.timeout = timeout(key, value, out);
    }
    if let Some((_, value)) = fields.get("resources") {
        node.resources = read_resources(value, out);
    }
    node.dispatch = read_dispatch(&fields, out);
    if let Some((key, value)) = fields.get("exclude") {
        node.exclude = combinations(key, value, out);
    }
    if let Some((key, value)) = fields.get("include") {
        node.include = combinations(key, value, out);
    }
    if let Some((key, value)) = fields.get("when") {
        node.when = text(key, value, out);
    }
    exec::read(&fields, &mut node, out);
    node
}

/// A list of texts, or a single one.
fn texts(key: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Vec<Text> {
    match &tree.data {
        Data::List(items) => items.iter().filter_map(|item| text(key, item, out)).collect(),
        _ => text(key, tree, out).into_iter().collect(),
    }
}

/// What stands on a port; parts with findings are missing.
fn input(port: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> InputDef {
    let items = match &tree.data {
        Data::List(items) => items.as_slice(),
        _ => std::slice::from_ref(tree),
    };
    if items.is_empty() {
        let message = format!("input `{}` is an empty list", port.name);
        out.push(
            Diagnostic::error("celldag::pipeline::wrong_shape", message)
                .at(tree.span.clone(), "nothing here")
                .help(HOW_INPUTS_LOOK),
        );
    }
    let mut input = InputDef { span: tree.span.clone(), items: Vec::new(), choices: Vec::new() };
    for item in items {
        if is_choice(item) {
            input_choice(port, item, &mut input, out);
        } else {
            input.items.extend(input_item(port, item, out));
        }
    }
    input
}

const HOW_INPUTS_LOOK: &str = "write `node.port`, a path, {gather: node.port}, {by: axis, value: node.port, default: node.port}, or a list of these";

/// The items of all cases; which of them a job takes is found out when axes are known.
fn input_choice(port: &Key, tree: &Tree, input: &mut InputDef, out: &mut Vec<Diagnostic>) {
    let Some((choice, values)) = split(tree) else {
        out.push(no_axis(tree));
        return;
    };
    for (case, value) in values.into_iter().enumerate() {
        let parts = match &value.data {
            Data::List(parts) => parts.as_slice(),
            _ if value.is_null() => &[],
            _ => std::slice::from_ref(value),
        };
        for part in parts {
            let item = input_item(port, part, out);
            input
                .items
                .extend(item.map(|item| InputItem { case: Some((input.choices.len(), case)), ..item }));
        }
    }
    input.choices.push(choice);
}

fn input_item(port: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<InputItem> {
    let what = format!("input `{}`", port.name);
    match &tree.data {
        Data::Map(entries) => {
            let fields = Fields::read(tree, &what, &["gather"], out)?;
            if entries.is_empty() {
                out.push(wrong_shape(tree, &what, "`{gather: node.port}`"));
            }
            let (key, value) = fields.get("gather")?;
            Some(InputItem { gather: true, text: text(key, value, out)?, case: None })
        }
        Data::List(_) => {
            out.push(
                wrong_shape(tree, &format!("each part of {what}"), "one reference").help(HOW_INPUTS_LOOK),
            );
            None
        }
        Data::Scalar(_) => Some(InputItem { gather: false, text: text(port, tree, out)?, case: None }),
    }
}

pub(super) fn whole(key: &Key, tree: &Tree, min: i64, max: i64, out: &mut Vec<Diagnostic>) -> Option<i64> {
    let number = tree.scalar().filter(|s| !s.quoted).and_then(|s| s.text.parse::<i64>().ok());
    match number {
        Some(n) if (min..=max).contains(&n) => Some(n),
        _ => {
            let wanted = format!("a whole number from {min} to {max}");
            out.push(wrong_shape(tree, &format!("`{}:`", key.name), &wanted));
            None
        }
    }
}

pub(super) fn timeout(key: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<Duration> {
    let found = text(key, tree, out)?;
    let duration = found
        .value
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .filter(|d| !d.is_zero());
    if duration.is_none() {
        out.push(
            Diagnostic::error("celldag::pipeline::bad_timeout", format!("`{}` is not a time", found.value))
                .at(found.span, "expected a time with its unit")
                .help("write for example 90s, 30m, 2h or 1h30m"),
        );
    }
    duration
}

/// `exclude:` and `include:`
fn combinations(key: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Vec<CombinationDef> {
    let Data::List(items) = &tree.data else {
        let what = format!("`{}:`", key.name);
        out.push(wrong_shape(tree, &what, "a list of combinations: [{model: a, fold: 1}]"));
        return Vec::new();
    };
    let mut combinations = Vec::new();
    for item in items {
        let Data::Map(pairs) = &item.data else {
            out.push(wrong_shape(
                item,
                &format!("each part of `{}:`", key.name),
                "a mapping of axes to values",
            ));
            continue;
        };
        let combination: CombinationDef =
            pairs.iter().map(|(axis, values)| (axis.clone(), texts(axis, values, out))).collect();
        if combination.is_empty() {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::wrong_shape",
                    "an empty combination would mean every job",
                )
                .at(item.span.clone(), "nothing here")
                .help("name axes and their values: {model: a, fold: [1, 2]}"),
            );
            continue;
        }
        combinations.push(combination);
    }
    combinations
}
