//! Whether the choices of inputs give every job what it needs.

use super::grid::Grid;
use super::jobs::{coordinates, id};
use crate::check::choice::Choice;
use crate::check::references::CheckedInput;
use crate::check::{CheckedNode, Context, Sketch};
use crate::diagnostic::Diagnostic;
use crate::kind::Multiplicity;
use crate::spec::Key;
use crate::spec::document::InputDef;

/// Checks that every job has a case in every choice of an input, and something on every port that must not be empty; each is
/// told once.
pub(super) fn check(
    context: &Context<'_>,
    sketch: &Sketch<'_>,
    node: &CheckedNode,
    grid: &Grid,
    out: &mut Vec<Diagnostic>,
) {
    for (input, (key, def)) in node.inputs.iter().zip(&sketch.def.inputs) {
        for choice in input.choices.iter().flatten() {
            let values = (0..grid.count()).map(|number| grid.values(number));
            if let Some(values) = values.into_iter().find(|values| choice.case(values).is_none()) {
                out.push(choice.missing(context, sketch, values, &format!("input `{}`", key.name)));
            }
        }
        let port = sketch.kind.as_ref().and_then(|kind| kind.spec.inputs.get(input.port));
        if port.is_some_and(|port| port.many == Multiplicity::Many) {
            out.extend(empty(context, sketch, input, (key, def), grid));
        }
    }
}

/// Choices that take nothing for some jobs may stand beside others that give these something: whether a job is left with
/// nothing on a port for several is only known of each job. The first one is told.
fn empty(
    context: &Context<'_>,
    sketch: &Sketch<'_>,
    input: &CheckedInput,
    (key, def): (&Key, &InputDef),
    grid: &Grid,
) -> Option<Diagnostic> {
    let choices: Vec<&Choice> = input.choices.iter().map(Option::as_ref).collect::<Option<_>>()?;
    // An item with a finding of its own is missing, and something always stands where it is no part of a choice.
    if def.items.len() != input.items.len() || input.items.iter().any(|item| item.case.is_none()) {
        return None;
    }
    let taken =
        |values: &[usize]| choices.iter().map(|choice| choice.case(values)).collect::<Option<Vec<usize>>>();
    let is_empty = |number: &usize| {
        let values = grid.values(*number);
        taken(values).is_some() && !input.items.iter().any(|item| input.takes(item, values))
    };
    let number = (0..grid.count()).find(is_empty)?;
    let cases = taken(grid.values(number))?;
    let mut keys = def.choices.iter().zip(cases).filter_map(|(choice, case)| choice.cases.get(case));
    let first = keys.next()?;
    let id = id(sketch.name(), &coordinates(context.axes, grid, number));
    let finding = Diagnostic::error(
        "celldag::pipeline::no_choice",
        format!("input `{}` of {} must not be empty, and {id} gets nothing", key.name, sketch.place),
    )
    .at(first.span.clone(), "takes nothing")
    .help(format!("write what stands on it: {}: node.port", first.name));
    Some(keys.fold(finding, |finding, case| finding.and(case.span.clone(), "nor does this")))
}
