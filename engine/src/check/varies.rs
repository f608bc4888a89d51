//! Which combinations of a node's axes exist: `exclude:`, `include:` and `when:`.

use std::collections::BTreeSet;

use super::interpolate::Combination;
use super::suggest::nearest;
use super::when::Condition;
use super::{Context, Sketch};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expand::axes::AxisValue;
use crate::spec::Span;
use crate::spec::document::CombinationDef;

/// A combination: slot in the node's axes → indices of values.
type Rule = Vec<(usize, BTreeSet<usize>)>;

/// The checked rules of a node.
pub(crate) struct Live {
    exclude: Vec<Rule>,
    /// Taken back from `exclude`.
    include: Vec<Rule>,
    when: Option<(Condition, Span)>,
    /// Nothing is wrong with them.
    pub(crate) sound: bool,
}

impl Live {
    /// Whether the node has a job here. A condition that cannot be decided is a finding.
    pub(crate) fn contains(
        &self,
        context: &Context<'_>,
        node: &Sketch<'_>,
        at: Combination<'_>,
        out: &mut Vec<Diagnostic>,
    ) -> bool {
        let among = |rules: &[Rule]| {
            rules.iter().any(|rule| {
                rule.iter().all(|(slot, values)| at.values.get(*slot).is_some_and(|v| values.contains(v)))
            })
        };
        if among(&self.exclude) && !among(&self.include) {
            return false;
        }
        let Some((condition, span)) = &self.when else { return true };
        condition.holds(&node.names(context), at, span).unwrap_or_else(|message| {
            // One finding says it; thousands of jobs would repeat it.
            if !out.iter().any(|finding| finding.label.as_ref().is_some_and(|label| label.span == *span)) {
                out.push(bad_condition(span, &message));
            }
            true
        })
    }
}

/// Checks all rules.
pub(crate) fn check(context: &Context<'_>, node: &Sketch<'_>, out: &mut Vec<Diagnostic>) -> Live {
    let before = out.len();
    let exclude = rules(context, node, &node.def.exclude, "exclude", out);
    let include = rules(context, node, &node.def.include, "include", out);
    if let (true, Some((axis, _))) = (exclude.is_empty(), node.def.include.iter().flatten().next()) {
        out.push(
            Diagnostic::warning(
                "celldag::pipeline::includes_nothing",
                format!("`include` of {} adds nothing: no `exclude` takes anything away", node.place),
            )
            .at(axis.span.clone(), "is there already")
            .help("write `exclude` for what has no job, and `include` for what has one nevertheless"),
        );
    }
    let mut live = Live { exclude, include, when: None, sound: true };
    if let Some(text) = &node.def.when {
        match Condition::parse(&text.value) {
            Ok(condition) => {
                for operand in condition.operands() {
                    let _ = node.names(context).check_template(operand, &text.span, out);
                }
                live.when = Some((condition, text.span.clone()));
            }
            Err(message) => out.push(bad_condition(&text.span, &message)),
        }
    }
    live.sound = out[before..].iter().all(|finding| finding.severity == Severity::Warning);
    live
}

/// The combinations of `exclude` or `include`, which `word` is.
fn rules(
    context: &Context<'_>,
    node: &Sketch<'_>,
    defs: &[CombinationDef],
    word: &str,
    out: &mut Vec<Diagnostic>,
) -> Vec<Rule> {
    let mut rules = Vec::new();
    for combination in defs {
        let mut rule = Vec::new();
        for (key, values) in combination {
            let slot = node.axes.iter().position(|axis| context.axes[*axis].name == key.name);
            let Some(slot) = slot else {
                out.push(
                    Diagnostic::error(
                        "celldag::pipeline::axis_not_here",
                        format!("{} does not vary over `{}`", node.place, key.name),
                    )
                    .at(key.span.clone(), "not under `foreach:`")
                    .help(format!("`{word}` takes the axes of its own node")),
                );
                continue;
            };
            let axis = &context.axes[node.axes[slot]];
            let mut wanted = BTreeSet::new();
            for value in values {
                match axis.values.iter().position(|known| known.text() == value.value) {
                    Some(index) => {
                        wanted.insert(index);
                    }
                    // A profile may have dropped the value; a misspelt one is caught by its nearness to a real one.
                    None => {
                        let near = nearest(&value.value, axis.values.iter().map(AxisValue::text));
                        out.push(
                            Diagnostic::warning(
                                "celldag::pipeline::unknown_value",
                                format!(
                                    "axis `{}` has no value `{}`: this {word}s nothing",
                                    axis.name, value.value
                                ),
                            )
                            .at(value.span.clone(), "no such value")
                            .maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
                        );
                    }
                }
            }
            rule.push((slot, wanted));
        }
        if rule.len() == combination.len() {
            rules.push(rule);
        }
    }
    rules
}

fn bad_condition(span: &Span, message: &str) -> Diagnostic {
    Diagnostic::error("celldag::pipeline::bad_condition", format!("`when:` {message}"))
        .at(span.clone(), "in this condition")
        .help("compare known values: when: \"${model} == scgpt and ${fold} not in [0, 1]\"")
}
