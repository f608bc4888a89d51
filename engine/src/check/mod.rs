//! Everything that can be known to be wrong before axes are expanded: names, ports, types, cycles. All of it at once.

pub(crate) mod cycle;
pub(crate) mod interpolate;
pub(crate) mod outputs;
pub(crate) mod params;
pub(crate) mod references;
pub(crate) mod scope;
pub(crate) mod suggest;
pub(crate) mod types;
pub(crate) mod varies;
pub(crate) mod when;

use std::collections::BTreeMap;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::expand::axes::Axis;
use crate::registry::{Registered, Registry};
use crate::spec::Document;
use crate::spec::document::{NodeDef, Text};
use interpolate::Names;
use outputs::CheckedOutput;
use params::NodeParams;
use references::CheckedInput;
use scope::Scope;
use suggest::{hint, nearest};
use varies::Live;

/// What checks and expansion look things up in.
#[derive(Clone, Copy)]
pub(crate) struct Context<'d> {
    /// The file.
    pub(crate) document: &'d Document,
    /// The kinds.
    pub(crate) registry: &'d Registry,
    /// The parameters.
    pub(crate) scope: &'d Scope<'d>,
    /// The axes.
    pub(crate) axes: &'d [Axis],
    /// Folder of the file.
    pub(crate) root: &'d Path,
}

/// A node whose kind and axes are known.
pub(crate) struct Sketch<'d> {
    /// As written.
    pub(crate) def: &'d NodeDef,
    /// `None` after a finding.
    pub(crate) kind: Option<Registered>,
    /// Indices into [`Context::axes`], ascending: file order.
    pub(crate) axes: Vec<usize>,
    /// `node `qc``, for messages.
    pub(crate) place: String,
    /// Names under `foreach:` were all known.
    pub(crate) axes_sound: bool,
}

impl Sketch<'_> {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.def.name.name
    }

    /// Names that its values may use.
    pub(crate) fn names<'a>(&'a self, context: &Context<'a>) -> Names<'a> {
        Names { scope: context.scope, axes: context.axes, here: &self.axes, place: &self.place }
    }
}

/// All nodes by index and by name.
pub(crate) struct Sketches<'d> {
    /// In file order.
    pub(crate) nodes: Vec<Sketch<'d>>,
    by_name: BTreeMap<&'d str, usize>,
}

impl<'d> Sketches<'d> {
    fn new(context: &Context<'d>, out: &mut Vec<Diagnostic>) -> Self {
        let nodes: Vec<_> = context.document.nodes.iter().map(|def| sketch(context, def, out)).collect();
        let by_name =
            nodes.iter().enumerate().map(|(index, node)| (node.def.name.name.as_str(), index)).collect();
        Self { nodes, by_name }
    }

    /// Index of a node.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'d str> + Clone {
        self.by_name.keys().copied()
    }
}

/// A node that was looked at from all sides.
pub(crate) struct CheckedNode {
    /// `with:` against the kind.
    pub(crate) params: NodeParams,
    /// `in:` against the kind and the other nodes.
    pub(crate) inputs: Vec<CheckedInput>,
    /// `exclude:` and `when:`.
    pub(crate) live: Live,
    /// Nothing is wrong that would make expansion meaningless.
    pub(crate) sound: bool,
}

/// The result of the static checks.
pub(crate) struct Checked<'d> {
    /// Nodes as written, with kinds and axes.
    pub(crate) sketches: Sketches<'d>,
    /// The same nodes, checked.
    pub(crate) nodes: Vec<CheckedNode>,
    /// `outputs:`
    pub(crate) outputs: Vec<CheckedOutput>,
    /// Indices of nodes, producers first; nodes on a cycle are missing.
    pub(crate) order: Vec<usize>,
}

/// Runs every check.
pub(crate) fn check<'d>(context: &Context<'d>, out: &mut Vec<Diagnostic>) -> Checked<'d> {
    let sketches = Sketches::new(context, out);
    let mut nodes = Vec::new();
    for (index, sketch) in sketches.nodes.iter().enumerate() {
        let before = out.len();
        let params = params::check(context, sketch, out);
        let inputs = references::check_inputs(context, &sketches, index, out);
        let live = varies::check(context, sketch, out);
        let broken_axis = sketch.axes.iter().any(|axis| context.axes[*axis].broken);
        // Findings about other parameters or ports do not make values of this node meaningless, unknown axes do.
        let sound = sketch.kind.is_some() && sketch.axes_sound && !broken_axis && live.sound;
        tracing::trace!(node = sketch.name(), findings = out.len() - before, sound, "checked");
        nodes.push(CheckedNode { params, inputs, live, sound });
    }
    let outputs = outputs::check(context, &sketches, out);
    let order = cycle::order(&sketches, &nodes, out);
    Checked { sketches, nodes, outputs, order }
}

fn sketch<'d>(context: &Context<'d>, def: &'d NodeDef, out: &mut Vec<Diagnostic>) -> Sketch<'d> {
    let kind = def.uses.as_ref().and_then(|uses| find_kind(context.registry, uses, out));
    let mut axes = Vec::new();
    let mut axes_sound = true;
    for wanted in &def.foreach {
        let found = context.axes.iter().position(|axis| axis.name == wanted.value);
        let Some(index) = found else {
            axes_sound = false;
            let known = context.axes.iter().map(|axis| axis.name.as_str());
            let none = format!("define it: axes: {{{}: [...]}}", wanted.value);
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::unknown_axis",
                    format!("unknown axis `{}`", wanted.value),
                )
                .at(wanted.span.clone(), "not under `axes:`")
                .help(none)
                .maybe_help(hint(&wanted.value, "axes", known)),
            );
            continue;
        };
        context.axes[index].used.set(true);
        if axes.contains(&index) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::repeated_axis",
                    format!("axis `{}` is listed twice", wanted.value),
                )
                .at(wanted.span.clone(), "again here")
                .help("remove one of the two"),
            );
        } else {
            axes.push(index);
        }
    }
    axes.sort_unstable();
    Sketch { def, kind, axes, place: format!("node `{}`", def.name.name), axes_sound }
}

fn find_kind(registry: &Registry, uses: &Text, out: &mut Vec<Diagnostic>) -> Option<Registered> {
    if let Some(kind) = registry.get(&uses.value) {
        return Some(kind.clone());
    }
    if uses.value == "exec" {
        out.push(
            Diagnostic::error("celldag::pipeline::not_supported_yet", "`uses: exec` is not supported yet")
                .at(uses.span.clone(), "external programs")
                .help("run the program before, and give its result as an input file"),
        );
        return None;
    }
    let near = nearest(&uses.value, registry.names()).map(|near| format!("did you mean `{near}`?"));
    out.push(
        Diagnostic::error("celldag::pipeline::unknown_kind", format!("unknown kind `{}`", uses.value))
            .at(uses.span.clone(), "no such kind")
            .help("`celldag nodes` lists the kinds")
            .maybe_help(near),
    );
    None
}
