//! Sets of combinations of axis values: all of them, or some.

use serde_json::{Value, json};

use super::place::ident;
use super::text::{list, python};
use crate::workflow::{Workflow, encode};

/// The values of each axis, if these rows are all their combinations with the first axis slowest.
fn product(axes: usize, rows: &[Vec<String>]) -> Option<Vec<Vec<&String>>> {
    let mut values: Vec<Vec<&String>> = vec![Vec::new(); axes];
    for row in rows {
        for (own, value) in values.iter_mut().zip(row) {
            if !own.contains(&value) {
                own.push(value);
            }
        }
    }
    let mut size = values.iter().map(Vec::len).product::<usize>();
    if size != rows.len() {
        return None;
    }
    for (slot, own) in values.iter().enumerate() {
        let block = size / own.len();
        let fits = |(at, row): (usize, &Vec<String>)| row[slot] == *own[at / block % own.len()];
        if !rows.iter().enumerate().all(fits) {
            return None;
        }
        size = block;
    }
    Some(values)
}

/// `expand(PATTERN, ...)` over these rows of values of `axes`; other wildcards of the pattern stay when `inner`.
pub(super) fn expand(
    workflow: &Workflow,
    pattern: &str,
    axes: &[String],
    rows: &[Vec<String>],
    inner: bool,
) -> String {
    if axes.is_empty() {
        return python(pattern);
    }
    let mut pattern = pattern.to_owned();
    if inner {
        pattern = pattern.replace('{', "{{").replace('}', "}}");
        for axis in axes {
            let name = ident(workflow, axis);
            pattern = pattern.replace(&format!("{{{{{name}}}}}"), &format!("{{{name}}}"));
        }
    }
    let (how, columns) = match product(axes.len(), rows) {
        Some(values) => ("", values),
        None => (" zip,", (0..axes.len()).map(|slot| rows.iter().map(|row| &row[slot]).collect()).collect()),
    };
    let columns = axes.iter().zip(columns).map(|(axis, values)| {
        let own: Vec<String> = values.into_iter().map(|value| encode(value)).collect();
        format!("{}={}", ident(workflow, axis), values_of(workflow, axis, &own))
    });
    format!("expand({},{how} {})", python(&pattern), columns.collect::<Vec<_>>().join(", "))
}

/// `AXES["fold"]` where it says the same as the list.
fn values_of(workflow: &Workflow, axis: &str, own: &[String]) -> String {
    let all: Vec<String> = workflow
        .axis(axis)
        .map(|axis| axis.values.iter().map(|value| encode(value)).collect())
        .unwrap_or_default();
    let mut sorted = all.clone();
    sorted.sort();
    let name = python(ident(workflow, axis));
    match own {
        own if own == all => format!("AXES[{name}]"),
        own if own == sorted => format!("sorted(AXES[{name}])"),
        own => list(own),
    }
}

/// The values of every axis, as they stand in paths.
pub(super) fn axes(workflow: &Workflow) -> Value {
    let axis = |axis: &crate::workflow::Axis| {
        let values: Vec<String> = axis.values.iter().map(|value| encode(value)).collect();
        (axis.ident.clone(), json!(values))
    };
    Value::Object(workflow.axes.iter().map(axis).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_seen() {
        let rows = |text: &str| -> Vec<Vec<String>> {
            text.split(' ').map(|row| row.chars().map(String::from).collect()).collect()
        };
        assert_eq!(product(2, &rows("a0 a1 b0 b1")).unwrap().len(), 2);
        assert!(product(2, &rows("a0 b0 a1 b1")).is_none(), "the order of labels matters");
        assert!(product(2, &rows("a0 a1 b0")).is_none());
        assert!(product(1, &rows("b a c")).is_some());
    }
}
