//! Whether a port takes what stands on it: how many, of which type, and along which axes.

use super::references::{CheckedItem, ItemSource};
use super::{Context, Sketch, Sketches};
use crate::diagnostic::Diagnostic;
use crate::kind::{InPort, Multiplicity};
use crate::spec::document::InputDef;

pub(super) fn check_count(node: &Sketch<'_>, port: &InPort, input: &InputDef, out: &mut Vec<Diagnostic>) {
    // Of a port for several it is looked at job by job whether anything stands on it: see `expand::jobs`.
    if port.many == Multiplicity::Many {
        return;
    }
    if port.many != Multiplicity::Optional {
        refuse_nothing(node, port, input, out);
    }
    let gathers = input.items.iter().any(|item| item.gather);
    if gathers || input.most() > 1 {
        let what = if gathers { "`gather` gives several" } else { "this is a list of several" };
        out.push(
            Diagnostic::error(
                "celldag::pipeline::too_many",
                format!("input `{}` of {} takes one artifact, but {what}", port.name, node.place),
            )
            .at(input.span.clone(), "takes one")
            .help("refer to one artifact; to work on each of several, let the node vary: foreach: [axis]"),
        );
    }
}

/// `default: null` leaves a port empty, which only optional ones may be, unless something else always stands on it.
fn refuse_nothing(node: &Sketch<'_>, port: &InPort, input: &InputDef, out: &mut Vec<Diagnostic>) {
    let always = input.items.iter().any(|item| item.case.is_none());
    if always || input.choices.iter().any(|choice| choice.nothing.is_empty()) {
        return;
    }
    for choice in &input.choices {
        for case in choice.nothing.iter().filter_map(|case| choice.cases.get(*case)) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::no_choice",
                    format!("input `{}` of {} must not be empty", port.name, node.place),
                )
                .at(case.span.clone(), "takes nothing")
                .help(format!("write what stands on it: {}: node.port", case.name)),
            );
        }
    }
}

pub(super) fn check_type(
    sketches: &Sketches<'_>,
    node: &Sketch<'_>,
    port: &InPort,
    item: &CheckedItem,
    out: &mut Vec<Diagnostic>,
) {
    let ItemSource::Node { node: producer, port: Some(output) } = item.source else { return };
    let producer = &sketches.nodes[producer];
    let Some(spec) = producer.kind.as_ref().map(|kind| &kind.spec) else { return };
    let Some(output) = spec.outputs.get(output) else { return };
    if output.ty.fits(port.ty) {
        return;
    }
    let fitting = spec.outputs.iter().find(|other| other.ty.fits(port.ty));
    let help = match fitting {
        Some(other) => format!("did you mean `{}.{}`?", producer.name(), other.name),
        None => format!("`{}` wants {} ({})", port.name, port.ty, port.ty.about),
    };
    out.push(
        Diagnostic::error(
            "celldag::pipeline::type_mismatch",
            format!(
                "`{}.{}` gives {}, but input `{}` of {} takes {}",
                producer.name(),
                output.name,
                output.ty,
                port.name,
                node.place,
                port.ty
            ),
        )
        .at(item.span.clone(), format!("{}, not {}", output.ty, port.ty))
        .help(help),
    );
}

/// Shared axes join by name; what the consumer lacks must be gathered.
pub(super) fn check_join(
    context: &Context<'_>,
    sketches: &Sketches<'_>,
    node: &Sketch<'_>,
    item: &CheckedItem,
    out: &mut Vec<Diagnostic>,
) {
    let ItemSource::Node { node: producer, .. } = item.source else { return };
    let producer = &sketches.nodes[producer];
    if item.gather || !node.axes_sound || !producer.axes_sound {
        return;
    }
    let lacking: Vec<&str> = producer
        .axes
        .iter()
        .filter(|axis| !node.axes.contains(axis))
        .map(|axis| context.axes[*axis].name.as_str())
        .collect();
    if lacking.is_empty() {
        return;
    }
    let axes = lacking.join(", ");
    out.push(
        Diagnostic::error(
            "celldag::pipeline::needs_gather",
            format!("`{}` varies over {axes}, but {} does not", producer.name(), node.place),
        )
        .at(item.span.clone(), "one of many")
        .help(format!(
            "take all of them with {{gather: {}.PORT}}, or add {axes} to `foreach` of `{}`",
            producer.name(),
            node.name()
        )),
    );
}
