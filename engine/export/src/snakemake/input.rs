//! What stands on the inputs of a rule, as Snakemake names files and as `--in` names them.

use serde_json::{Map, Value, json};

use super::combinations::expand;
use super::place::{ident, port};
use super::rule::Lines;
use super::text::{fits_a_line, list, literal, python, shell};
use crate::workflow::{Feed, Item, Label, Rule, Setting, Workflow};

/// The inputs of a rule.
pub(super) fn write(workflow: &Workflow, rule: &Rule, lines: &mut Lines) {
    let node = rule.node.as_str();
    for feed in &rule.feeds {
        let name = feed.ident.as_str();
        if let Some(entries) = listed(workflow, lines, node, feed) {
            if let ([one], false) = (entries.as_slice(), feed.many) {
                let files = one.pattern.as_ref().and_then(|pattern| lines.batch.files(workflow, pattern));
                let own = match (&one.pattern, &files) {
                    (Some(pattern), Some(_)) => lines.batch.file(workflow, rule, pattern),
                    _ => format!("{{input.{name}:q}}"),
                };
                lines.inputs.push((name.to_owned(), files.unwrap_or_else(|| one.path.clone())));
                lines.options.push(format!("--in {}={own}", feed.port));
                continue;
            }
            let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
            let labels: Vec<&str> = entries.iter().map(|entry| entry.label.as_str()).collect();
            lines.inputs.push((name.to_owned(), format!("[{}]", paths.join(", "))));
            // One label needs no list of them.
            if let [label] = labels.as_slice()
                && fits_a_line(label)
            {
                let option = literal(&shell(&format!("{}:{label}=", feed.port)));
                lines.options.push(format!("--in {option}{{input.{name}:q}}"));
                continue;
            }
            let labelled = format!(
                "lambda wildcards, input: labelled({}, {}, input.{name})",
                python(&feed.port),
                list(&labels)
            );
            lines.helpers.insert("labelled");
            lines.params.push((name.to_owned(), labelled));
        } else if let Some((paths, label)) = gathered(workflow, feed) {
            lines.inputs.push((name.to_owned(), paths));
            let prefix =
                label.prefix.as_ref().map_or_else(String::new, |prefix| format!(", {}", python(prefix)));
            let made = format!("told(input.{name}, {}{prefix})", list(&label.axes));
            let labelled =
                format!("lambda wildcards, input: labelled({}, {made}, input.{name})", python(&feed.port));
            lines.helpers.extend(["labelled", "told"]);
            lines.params.push((name.to_owned(), labelled));
        } else {
            let told =
                lines.tables.entry("feeds").or_default().entry(node.to_owned()).or_insert_with(|| json!({}));
            told[&feed.port] = config(workflow, &feed.items, |items| {
                Value::Array(items.iter().map(|item| entry(workflow, item)).collect())
            });
            let place = format!("{}, {}", python(node), python(&feed.port));
            lines.inputs.push((name.to_owned(), format!("fed({place})")));
            lines.params.push((
                name.to_owned(),
                format!("options({place}, {})", if feed.many { "True" } else { "False" }),
            ));
            lines.helpers.insert("fed");
        }
        lines.options.push(format!("{{params.{name}}}"));
    }
}

/// One artifact on a port.
struct Listed {
    /// Its path, as Python.
    path: String,
    label: String,
    /// Its path with wildcards, if a rule makes it.
    pattern: Option<String>,
}

/// Artifacts one by one, where there are as many for all jobs: files of the user and single jobs of other rules.
fn listed(workflow: &Workflow, lines: &mut Lines, node: &str, feed: &Feed) -> Option<Vec<Listed>> {
    let items = feed.items.same().filter(|items| !items.is_empty())?;
    let one = items.len() == 1 && !feed.many;
    let listable = |item: &Item| match item {
        Item::Join { label, .. } => label.axes.is_empty(),
        // In a list, a table of paths would be a list of functions.
        Item::File { label, path } => label.same().is_some() && (one || path.same().is_some()),
        Item::Gather { .. } => false,
    };
    if !items.iter().all(listable) {
        return None;
    }
    let mut entries = Vec::new();
    for (number, item) in items.iter().enumerate() {
        entries.push(match item {
            Item::Join { rule, port: from, label } => {
                let pattern = port(workflow, *rule, from);
                let label = label.prefix.clone().unwrap_or_default();
                Listed { path: python(&pattern), label, pattern: Some(pattern) }
            }
            Item::File { label, path } => {
                let key = if one { feed.port.clone() } else { format!("{} {}", feed.port, number + 1) };
                let files = lines.tables.entry("files").or_default();
                let files = files.entry(node.to_owned()).or_insert_with(|| json!({}));
                files[&key] = config(workflow, path, |path| json!(path.to_string_lossy()));
                let place = format!("{}, {}", python(node), python(&key));
                let path = if one {
                    lines.helpers.insert("user");
                    format!("user({place})")
                } else {
                    format!("config[\"files\"][{}][{}]", python(node), python(&key))
                };
                Listed { path, label: label.same().cloned().unwrap_or_default(), pattern: None }
            }
            Item::Gather { .. } => return None,
        });
    }
    Some(entries)
}

/// All jobs of another rule, where they are the same for every job.
fn gathered<'a>(workflow: &Workflow, feed: &'a Feed) -> Option<(String, &'a Label)> {
    let [Item::Gather { rule, port: from, label, over, members: Setting::Same(members) }] =
        feed.items.same()?.as_slice()
    else {
        return None;
    };
    Some((expand(workflow, &port(workflow, *rule, from), over, members, true), label))
}

/// One item for config.yaml, whatever it is.
fn entry(workflow: &Workflow, item: &Item) -> Value {
    let label = |label: &Label| {
        let axes: Vec<Value> = label.axes.iter().map(|axis| json!([axis, ident(workflow, axis)])).collect();
        json!({ "prefix": label.prefix, "axes": axes })
    };
    match item {
        Item::File { label, path } => json!({
            "file": config(workflow, path, |path| json!(path.to_string_lossy())),
            "label": config(workflow, label, |label| json!(label)),
        }),
        Item::Join { rule, port: from, label: own } => {
            json!({ "path": port(workflow, *rule, from), "label": label(own) })
        }
        Item::Gather { rule, port: from, label: own, over, members } => {
            let over: Vec<&str> = over.iter().map(|axis| ident(workflow, axis)).collect();
            let encoded = |rows: &Vec<Vec<String>>| {
                let row = |row: &Vec<String>| {
                    row.iter().map(|value| crate::workflow::encode(value)).collect::<Vec<_>>()
                };
                json!(rows.iter().map(row).collect::<Vec<_>>())
            };
            json!({
                "path": port(workflow, *rule, from),
                "label": label(own),
                "over": over,
                "members": config(workflow, members, encoded),
            })
        }
    }
}

/// A setting for config.yaml: the value itself, or `{by: [axis], is: {value: ...}}`.
pub(super) fn config<T>(workflow: &Workflow, setting: &Setting<T>, value: impl Fn(&T) -> Value) -> Value {
    match setting {
        Setting::Same(same) => value(same),
        Setting::Table(table) => {
            let mut rows = Value::Object(Map::new());
            for (key, own) in &table.rows {
                let mut at = &mut rows;
                for part in key {
                    let encoded = crate::workflow::encode(part);
                    at = &mut at[&encoded];
                }
                *at = value(own);
            }
            let by: Vec<&str> = table.axes.iter().map(|axis| ident(workflow, axis)).collect();
            json!({ "by": by, "is": rows })
        }
    }
}
