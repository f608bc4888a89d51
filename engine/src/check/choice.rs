//! A choice by the value of an axis: whether the axis is there, and which case each of its values takes.

use super::suggest::{hint, nearest};
use super::{Context, Sketch};
use crate::diagnostic::Diagnostic;
use crate::expand::axes::{Axis, AxisValue};
use crate::spec::Span;
use crate::spec::choice::{ChoiceDef, DEFAULT};

/// A choice whose axis is known.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Index of the axis in the pipeline.
    pub(crate) axis: usize,
    /// Its place among the axes of the node.
    slot: usize,
    /// For each value of the axis the case that it takes, if there is one.
    case: Vec<Option<usize>>,
    /// Where the choice stands.
    span: Span,
}

impl Choice {
    /// The case of the job with these values.
    pub(crate) fn case(&self, values: &[usize]) -> Option<usize> {
        self.case.get(*values.get(self.slot)?).copied().flatten()
    }

    /// Whether some value of the axis takes this case.
    pub(crate) fn takes(&self, case: usize) -> bool {
        self.case.contains(&Some(case))
    }

    /// The finding that a job has no case. `what` is `input `data``.
    pub(crate) fn missing(
        &self,
        context: &Context<'_>,
        node: &Sketch<'_>,
        values: &[usize],
        what: &str,
    ) -> Diagnostic {
        let axis = &context.axes[self.axis];
        let value = values.get(self.slot).and_then(|value| axis.values.get(*value));
        let text = value.map_or("", AxisValue::text);
        Diagnostic::error(
            "celldag::pipeline::no_choice",
            format!("{what} of {} has no choice for {}={text}", node.place, axis.name),
        )
        .at(self.span.clone(), "none of these")
        .help("add a case for it, or `default:` for all that have none")
    }
}

/// Checks the axis and the cases.
pub(crate) fn check(
    context: &Context<'_>,
    node: &Sketch<'_>,
    def: &ChoiceDef,
    out: &mut Vec<Diagnostic>,
) -> Option<Choice> {
    let (index, column) = find_axis(context, node, def, out)?;
    let axis = &context.axes[index];
    let slot = node.axes.iter().position(|own| *own == index)?;
    if axis.broken {
        return None;
    }
    let texts: Vec<&str> = axis.values.iter().map(|value| text_of(value, column)).collect();
    let before = out.len();
    for key in &def.cases {
        // Values that a profile or `--set` dropped are no mistakes.
        if key.name != DEFAULT && axis.as_written && !texts.contains(&key.name.as_str()) {
            out.push(unknown_value(axis, &texts, &key.name, &key.span));
        }
    }
    if def.cases.is_empty() {
        out.push(
            Diagnostic::error("celldag::pipeline::no_choice", "there is nothing to choose from")
                .at(def.span.clone(), "no cases")
                .help(format!(
                    "write {{by: {}, {}: ..., default: ...}}",
                    def.by.value,
                    texts.first().unwrap_or(&"value")
                )),
        );
    }
    let own = |text: &str| def.cases.iter().position(|key| key.name == text);
    let default = own(DEFAULT);
    let case = texts.iter().map(|text| own(text).or(default)).collect();
    (out.len() == before).then_some(Choice { axis: index, slot, case, span: def.span.clone() })
}

/// The axis that `by` names, and the column if it names one.
fn find_axis(
    context: &Context<'_>,
    node: &Sketch<'_>,
    def: &ChoiceDef,
    out: &mut Vec<Diagnostic>,
) -> Option<(usize, Option<usize>)> {
    let written = def.by.value.as_str();
    let (name, column) =
        written.split_once('.').map_or((written, None), |(name, column)| (name, Some(column)));
    let Some(index) = context.axes.iter().position(|axis| axis.name == name) else {
        let known = node.axes.iter().map(|axis| context.axes[*axis].name.as_str());
        let bare = written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        out.push(
            Diagnostic::error("celldag::pipeline::unknown_axis", format!("there is no axis `{written}`"))
                .at(def.by.span.clone(), "not under `axes:`")
                .help(format!("{} does not vary over any axis", node.place))
                .maybe_help(hint(name, "axes of this node", known))
                .maybe_help(bare.map(|bare| format!("write by: {bare}"))),
        );
        return None;
    };
    let axis = &context.axes[index];
    axis.used.set(true);
    if !node.axes.contains(&index) {
        if node.axes_sound {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::axis_not_here",
                    format!("{} does not vary over the axis `{name}`", node.place),
                )
                .at(def.by.span.clone(), "not under `foreach:`")
                .help(format!("add it: foreach: [{name}]")),
            );
        }
        return None;
    }
    let Some(column) = column.filter(|_| !axis.broken) else { return Some((index, None)) };
    let found = axis.column(column);
    if found.is_none() {
        let none = format!("only axes that come from a table have columns; write by: {name}");
        out.push(
            Diagnostic::error(
                "celldag::pipeline::no_column",
                format!("the axis `{name}` has no column `{column}`"),
            )
            .at(def.by.span.clone(), "unknown column")
            .help(none)
            .maybe_help(hint(column, "columns", axis.columns.iter().map(String::as_str))),
        );
    }
    Some((index, Some(found?)))
}

fn text_of(value: &AxisValue, column: Option<usize>) -> &str {
    match column {
        None => value.text(),
        Some(column) => value.columns.get(column).map_or("", String::as_str),
    }
}

fn unknown_value(axis: &Axis, texts: &[&str], name: &str, span: &Span) -> Diagnostic {
    const SHOWN: usize = 10;
    let mut known = Vec::new();
    for text in texts {
        if !known.contains(text) {
            known.push(*text);
        }
    }
    let more = if known.len() > SHOWN { ", ..." } else { "" };
    let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    known.truncate(SHOWN);
    Diagnostic::error(
        "celldag::pipeline::unknown_value",
        format!("axis `{}` has no value `{name}` to choose by", axis.name),
    )
    .at(span.clone(), "no such value")
    .help(format!("values: {}{more}; `default` stands for all others", known.join(", ")))
    .maybe_help(near)
}
