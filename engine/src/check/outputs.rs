//! `outputs:`: which artifact goes to which path.

use super::references::find_output;
use super::suggest::nearest;
use super::{Context, Sketches};
use crate::diagnostic::Diagnostic;
use crate::spec::Span;
use crate::spec::document::OutputDef;
use crate::spec::template::{Template, is_name};

/// One entry of `outputs:`.
pub(crate) struct CheckedOutput {
    /// Where its path stands.
    pub(crate) span: Span,
    /// The path, with references to axes.
    pub(crate) path: Template,
    /// Index of the node.
    pub(crate) node: usize,
    /// Index of its output.
    pub(crate) port: usize,
}

/// Checks all entries.
pub(crate) fn check(
    context: &Context<'_>,
    sketches: &Sketches<'_>,
    out: &mut Vec<Diagnostic>,
) -> Vec<CheckedOutput> {
    context.document.outputs.iter().filter_map(|output| check_one(context, sketches, output, out)).collect()
}

fn check_one(
    context: &Context<'_>,
    sketches: &Sketches<'_>,
    output: &OutputDef,
    out: &mut Vec<Diagnostic>,
) -> Option<CheckedOutput> {
    let span = output.from.span.clone();
    let written = output.from.value.as_str();
    let (name, port) = match written.split_once('.') {
        Some((name, port)) => (name, Some(port)),
        None => (written, None),
    };
    let file = context.modules.of(&span);
    let found = sketches.find(context.modules, file, name).filter(|_| port.is_none_or(is_name));
    let Some(node) = found else {
        if context.modules.incomplete {
            return None;
        }
        let rest = port.map_or_else(String::new, |port| format!(".{port}"));
        // `outputs` maps path to artifact; the other way round is the usual slip.
        let swapped = output
            .path
            .value
            .split('.')
            .next()
            .is_some_and(|head| sketches.find(context.modules, file, head).is_some());
        let near = nearest(name, sketches.names(context.modules, file))
            .map(|near| format!("did you mean `{near}{rest}`?"));
        let turned = format!("write it the other way round: {{\"{written}\": {}}}", output.path.value);
        out.push(
            Diagnostic::error("celldag::pipeline::unknown_node", format!("there is no node `{name}`"))
                .at(span, "unknown node")
                .help("an output is written as {path: node.port}")
                .maybe_help(if swapped { Some(turned) } else { near }),
        );
        return None;
    };
    let port = find_output(sketches, node, port, &span, None, out);
    let span = output.path.span.clone();
    let names = sketches.nodes[node].names_at(context, &span);
    let path = names.parse(&output.path.value, &span, out)?;
    names.check_template(&path, &span, out)?;
    Some(CheckedOutput { span, path, node, port: port?? })
}
