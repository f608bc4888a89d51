//! `in:` of a node: what each value refers to, and whether the port takes it.

use std::collections::BTreeSet;

use super::choice::{self, Choice};
use super::fits::{check_count, check_join, check_type};
use super::suggest::{hint, nearest};
use super::{Context, Sketch, Sketches};
use crate::diagnostic::Diagnostic;
use crate::kind::Multiplicity;
use crate::spec::document::{InputItem, Text};
use crate::spec::template::{Part, Template, is_name};
use crate::spec::{Key, Span};

/// A port and what stands on it.
pub(crate) struct CheckedInput {
    /// Index of the port in the kind.
    pub(crate) port: usize,
    /// One or more.
    pub(crate) items: Vec<CheckedItem>,
    /// Choices among them, in the order of the file; `None` after a finding.
    pub(crate) choices: Vec<Option<Choice>>,
}

impl CheckedInput {
    /// Whether the job with these values takes this item.
    pub(crate) fn takes(&self, item: &CheckedItem, values: &[usize]) -> bool {
        let Some((choice, case)) = item.case else { return true };
        self.choices.get(choice).and_then(Option::as_ref).is_some_and(|c| c.case(values) == Some(case))
    }

    /// Whether any job can take this item.
    pub(crate) fn can_take(&self, item: &CheckedItem) -> bool {
        let Some((choice, case)) = item.case else { return true };
        self.choices.get(choice).and_then(Option::as_ref).is_none_or(|c| c.takes(case))
    }
}

/// One reference or path.
pub(crate) struct CheckedItem {
    /// All producers that differ only in axes that the consumer lacks.
    pub(crate) gather: bool,
    /// Where it stands.
    pub(crate) span: Span,
    /// The file that says what a path means; see [`Names::home`](super::interpolate::Names::home).
    pub(crate) home: Span,
    /// What it is.
    pub(crate) source: ItemSource,
    /// Index of a choice and of its case, if the item stands in one.
    pub(crate) case: Option<(usize, usize)>,
}

/// What an input value refers to.
pub(crate) enum ItemSource {
    /// An output of a node; the port is `None` when it could not be found.
    Node {
        /// Index of the node.
        node: usize,
        /// Index of its output.
        port: Option<usize>,
    },
    /// A path, still with references to axes.
    Path(Template),
}

/// Checks all inputs of one node.
pub(crate) fn check_inputs(
    context: &Context<'_>,
    sketches: &Sketches<'_>,
    index: usize,
    out: &mut Vec<Diagnostic>,
) -> Vec<CheckedInput> {
    let node = &sketches.nodes[index];
    let mut inputs = Vec::new();
    // Required ports that a misspelt one probably is: one finding about them is enough.
    let mut meant = BTreeSet::new();
    for (key, input) in &node.def.inputs {
        let port =
            node.kind.as_ref().and_then(|kind| kind.spec.inputs.iter().position(|p| p.name == key.name));
        if let (Some(kind), None) = (&node.kind, port) {
            meant.extend(nearest(&key.name, kind.spec.inputs.iter().map(|port| port.name)));
            out.push(unknown_port(&kind.spec, key));
        }
        let choices = input.choices.iter().map(|def| choice::check(context, node, def, out)).collect();
        let items: Vec<CheckedItem> =
            input.items.iter().filter_map(|item| check_item(context, sketches, node, item, out)).collect();
        let declared = node.kind.as_ref().zip(port).and_then(|(kind, port)| kind.spec.inputs.get(port));
        if let Some(declared) = declared {
            check_count(node, declared, input, out);
            for item in &items {
                check_type(sketches, node, declared, item, out);
            }
        }
        for item in &items {
            check_join(context, sketches, node, item, out);
        }
        // Without a known port the item still is an edge, which a cycle may run through.
        inputs.push(CheckedInput { port: port.unwrap_or(usize::MAX), items, choices });
    }
    let Some(kind) = &node.kind else { return inputs };
    for port in &kind.spec.inputs {
        let given = node.def.inputs.iter().any(|(key, _)| key.name == port.name);
        if port.many != Multiplicity::Optional && !given && !meant.contains(port.name) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::missing_input_port",
                    format!("{} needs the input `{}` ({}): {}", node.place, port.name, port.ty, port.about),
                )
                .at(node.def.name.span.clone(), format!("`{}` is not given", port.name))
                .help(format!("add `in: {{{}: node.port}}` or a path", port.name)),
            );
        }
    }
    inputs
}

fn unknown_port(spec: &crate::kind::KindSpec, key: &Key) -> Diagnostic {
    let name = key.name.as_str();
    let help = if spec.params.iter().any(|param| param.name == name) {
        Some(format!("`{name}` is a parameter: write it under `with:`"))
    } else {
        hint(name, "inputs", spec.inputs.iter().map(|port| port.name))
    };
    Diagnostic::error(
        "celldag::pipeline::unknown_port",
        format!("kind `{}` has no input `{name}`", spec.name),
    )
    .at(key.span.clone(), "unknown input")
    .help("it takes no inputs")
    .maybe_help(help)
}

fn check_item(
    context: &Context<'_>,
    sketches: &Sketches<'_>,
    node: &Sketch<'_>,
    item: &InputItem,
    out: &mut Vec<Diagnostic>,
) -> Option<CheckedItem> {
    let span = item.text.span.clone();
    let names = node.names(context);
    let template = names.parse(&item.text.value, &span, out)?;
    names.check_template(&template, &span, out)?;
    let home = names.home(&template, &span);
    let template = names
        .fill_params(&template)
        .map_err(|message| {
            out.push(
                Diagnostic::error("celldag::pipeline::bad_interpolation", message).at(span.clone(), "here"),
            );
        })
        .ok()?;
    let text = match template.parts.as_slice() {
        [Part::Text(text)] => text,
        _ if item.gather => {
            let code = "celldag::pipeline::bad_gather";
            out.push(
                Diagnostic::error(code, "`gather` takes a node, not a path that depends on axes")
                    .at(span, "not a node")
                    .help("write {gather: node.port}"),
            );
            return None;
        }
        _ => {
            return Some(CheckedItem {
                gather: false,
                span,
                home,
                source: ItemSource::Path(template),
                case: item.case,
            });
        }
    };
    let found = Text { value: text.clone(), span: span.clone() };
    let source = match classify(context, sketches, &found, &home, item.gather, out)? {
        Some((node, port)) => ItemSource::Node { node, port },
        None => ItemSource::Path(template),
    };
    Some(CheckedItem { gather: item.gather, span, home, source, case: item.case })
}

/// A reference (`Some`), or a path (`None`); nothing at all after a finding.
///
/// `a.b` is a reference when `a` is a node; otherwise it may be a file name such as `cells.h5ad`, if there is such a
/// file. A path with `/` is never a reference.
#[expect(clippy::option_option, reason = "outer: sound or not; inner: reference or path")]
fn classify(
    context: &Context<'_>,
    sketches: &Sketches<'_>,
    text: &Text,
    home: &Span,
    must_be_node: bool,
    out: &mut Vec<Diagnostic>,
) -> Option<Option<(usize, Option<usize>)>> {
    let (name, port) = match text.value.split_once('.') {
        Some((name, port)) => (name, Some(port)),
        None => (text.value.as_str(), None),
    };
    if is_name(name) && port.is_none_or(is_name) {
        let (modules, home) = (context.modules, context.modules.of(home));
        let root = modules.root(home);
        if let Some(node) = sketches.find(modules, home, name) {
            let file = root.join(&text.value).exists().then_some(text.value.as_str());
            // Also with an unknown output it is an edge, which a cycle may run through.
            return Some(Some((node, find_output(sketches, node, port, &text.span, file, out).flatten())));
        }
        let path = root.join(&text.value);
        if must_be_node || !path.exists() {
            if modules.incomplete {
                return None;
            }
            let near = nearest(name, sketches.names(modules, home));
            let rest = port.map_or_else(String::new, |port| format!(".{port}"));
            // `cells.h5ad` reads as a reference and as a file. Without a node of a similar name it is a file that is
            // missing, which is a matter of data and not of the pipeline.
            let (code, message) = match (must_be_node, &near, port) {
                (true, ..) => ("celldag::pipeline::unknown_node", format!("there is no node `{name}`")),
                (false, None, Some(_)) => (
                    "celldag::pipeline::missing_file",
                    format!("there is no file {}, and no node `{name}`", path.display()),
                ),
                (false, ..) => (
                    "celldag::pipeline::unknown_node",
                    format!("there is no node `{name}`, and there is no file {}", path.display()),
                ),
            };
            let label = if code.ends_with("missing_file") { "no such file" } else { "unknown node" };
            out.push(
                Diagnostic::error(code, message)
                    .at(text.span.clone(), label)
                    .help(format!(
                        "write `node.port` for the result of a node, or a path; {}",
                        modules.start(home)
                    ))
                    .maybe_help(near.map(|near| format!("did you mean `{near}{rest}`?"))),
            );
            return None;
        }
    } else if must_be_node {
        out.push(
            Diagnostic::error(
                "celldag::pipeline::bad_gather",
                format!("`gather` takes a node, not the path `{}`", text.value),
            )
            .at(text.span.clone(), "not a node")
            .help("write {gather: node.port}; several files can be given as a list"),
        );
        return None;
    }
    Some(None)
}

/// The output that `node` or `node.port` means: `None` after a finding, `Some(None)` when the kind is not known.
///
/// `file` is an existing file of the same name, which the user may have meant.
#[expect(clippy::option_option, reason = "outer: sound or not; inner: known or not")]
pub(super) fn find_output(
    sketches: &Sketches<'_>,
    node: usize,
    port: Option<&str>,
    span: &Span,
    file: Option<&str>,
    out: &mut Vec<Diagnostic>,
) -> Option<Option<usize>> {
    let node = &sketches.nodes[node];
    let Some(spec) = node.kind.as_ref().map(|kind| &kind.spec) else { return Some(None) };
    let Some(port) = port else {
        if spec.outputs.is_empty() {
            let code = "celldag::pipeline::unknown_output";
            out.push(
                Diagnostic::error(code, format!("{} gives nothing", node.place))
                    .at(span.clone(), "no output"),
            );
            return None;
        }
        return Some(Some(0));
    };
    let found = spec.outputs.iter().position(|output| output.name == port);
    if found.is_none() {
        let names = spec.outputs.iter().map(|output| output.name);
        out.push(
            Diagnostic::error(
                "celldag::pipeline::unknown_output",
                format!("{} (kind `{}`) has no output `{port}`", node.place, spec.name),
            )
            .at(span.clone(), "unknown output")
            .maybe_help(hint(port, "outputs", names))
            .maybe_help(file.map(|file| format!("write ./{file} for the file of that name"))),
        );
    }
    found.map(Some)
}
