//! `shards:` and `batch:` of a node against its kind and its axes.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::interpolate::Combination;
use super::suggest::hint;
use super::{Context, Sketch};
use crate::diagnostic::Diagnostic;
use crate::registry::Registered;
use crate::resources::{Dispatch, MAX_SHARDS};
use crate::spec::document::Text;
use crate::spec::{Key, Tree};

/// How the jobs of a node may be dispatched; what has a finding is left out.
pub(crate) fn check(context: &Context<'_>, node: &Sketch<'_>, out: &mut Vec<Diagnostic>) -> Dispatch {
    let def = &node.def.dispatch;
    let shards = def.shards.as_ref().and_then(|(key, value)| shards(context, node, key, value, out));
    let batch = def.batch.as_ref().map(|(_, axes)| batch(context, node, axes, out)).unwrap_or_default();
    if let (Some(_), Some((shards, _)), Some((bundle, _)), false) =
        (shards, &def.shards, &def.batch, batch.is_empty())
    {
        out.push(
            Diagnostic::error(
                "celldag::pipeline::cut_and_bundled",
                format!("{} is both cut into shards and bundled", node.place),
            )
            .at(shards.span.clone(), "one job becomes several")
            .and(bundle.span.clone(), "several jobs become one")
            .help("keep one of the two; a profile takes the other back with shards: 1 or batch: []"),
        );
    }
    let axes = node.axes.iter().map(|index| context.axes[*index].name.clone()).collect();
    Dispatch { shards, batch, axes }
}

/// One number for all jobs of a node, which are one rule of an exported workflow.
fn shards(
    context: &Context<'_>,
    node: &Sketch<'_>,
    key: &Key,
    value: &Tree,
    out: &mut Vec<Diagnostic>,
) -> Option<NonZeroU32> {
    if let Some(kind) = node.kind.as_ref().filter(|kind| !kind.kind.can_be_cut()) {
        out.push(cannot_be_cut(context, kind, key));
        return None;
    }
    let wrong = |message: String| {
        let place = if value.span.is_empty() { key.span.clone() } else { value.span.clone() };
        Diagnostic::error("celldag::pipeline::wrong_shards", message).at(place, "this number")
    };
    let names = node.names_at(context, &value.span);
    let used = names.check(value, out)?;
    if let Some(axis) = used.first() {
        let message = format!("`shards` of {} varies over axis `{}`", node.place, context.axes[*axis].name);
        out.push(wrong(message).help("all jobs of a node are cut alike: give a number, or a parameter"));
        return None;
    }
    let wanted = format!("a whole number from 1 to {MAX_SHARDS}");
    let filled = match names.fill(value, Combination { axes: &[], values: &[] }) {
        Ok(filled) => filled,
        Err((_, message)) => {
            out.push(wrong(message).help(format!("write {wanted}")));
            return None;
        }
    };
    let number = filled.scalar().filter(|_| !filled.is_null()).and_then(|scalar| scalar.text.parse().ok());
    let Some(number) = number.filter(|number| (1..=MAX_SHARDS).contains(number)) else {
        let message = format!("`shards` of {}: expected {wanted}, not {}", node.place, filled.describe());
        out.push(wrong(message).help(format!("write {wanted}")));
        return None;
    };
    // One part is the whole.
    NonZeroU32::new(number).filter(|number| number.get() > 1)
}

fn cannot_be_cut(context: &Context<'_>, kind: &Registered, key: &Key) -> Diagnostic {
    let can = context.registry.iter().filter(|kind| kind.kind.can_be_cut());
    let can: Vec<&str> = can.map(|kind| kind.spec.name).collect();
    let message =
        format!("kind `{}` cannot be cut into shards; these can: {}", kind.spec.name, can.join(", "));
    Diagnostic::error("celldag::pipeline::cannot_be_cut", message)
        .at(key.span.clone(), "not for this kind")
        .help("remove `shards`")
}

/// The axes, in the order of the file.
fn batch(
    context: &Context<'_>,
    node: &Sketch<'_>,
    wanted: &[Text],
    out: &mut Vec<Diagnostic>,
) -> Vec<String> {
    let mut axes = BTreeSet::new();
    for axis in wanted {
        let found = node.axes.iter().find(|index| context.axes[**index].name == axis.value);
        let Some(index) = found else {
            // An unknown name under `foreach` was told there.
            if node.axes_sound {
                out.push(not_an_axis(context, node, axis));
            }
            continue;
        };
        if !axes.insert(*index) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::repeated_axis",
                    format!("axis `{}` is listed twice", axis.value),
                )
                .at(axis.span.clone(), "again here")
                .help("remove one of the two"),
            );
        }
    }
    axes.into_iter().map(|index| context.axes[index].name.clone()).collect()
}

fn not_an_axis(context: &Context<'_>, node: &Sketch<'_>, axis: &Text) -> Diagnostic {
    let message = format!("`batch` of {}: it does not vary over `{}`", node.place, axis.value);
    let of_node = node.axes.iter().map(|index| context.axes[*index].name.as_str());
    let help = if node.axes.is_empty() {
        "the node has one job, so there is nothing to bundle: remove `batch`".to_owned()
    } else {
        "name axes that stand under its `foreach`".to_owned()
    };
    Diagnostic::error("celldag::pipeline::unknown_axis", message)
        .at(axis.span.clone(), "no axis of this node")
        .help(help)
        .maybe_help(hint(&axis.value, "its axes", of_node))
}
