//! Everything that can be known to be wrong before axes are expanded: names, ports, types, cycles. All of it at once.

pub(crate) mod choice;
pub(crate) mod cycle;
mod dispatch;
mod fits;
pub(crate) mod interpolate;
pub(crate) mod modules;
pub(crate) mod needs;
pub(crate) mod outputs;
pub(crate) mod params;
pub(crate) mod references;
pub(crate) mod retries;
pub(crate) mod scope;
pub(crate) mod suggest;
pub(crate) mod types;
pub(crate) mod varies;
pub(crate) mod when;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::exec;
use crate::expand::axes::Axis;
use crate::plugin::PluginError;
use crate::registry::{Registered, Registry};
use crate::resources::{Dispatch, Retries};
use crate::spec::document::{NodeDef, Text};
use crate::spec::{Document, Span};
use cycle::Order;
use interpolate::Names;
use modules::Modules;
use needs::NodeNeeds;
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
    /// The files.
    pub(crate) modules: &'d Modules,
    /// The parameters of each file.
    pub(crate) scopes: &'d [Scope<'d>],
    /// The axes.
    pub(crate) axes: &'d [Axis],
}

impl<'d> Context<'d> {
    /// The parameters that may be used where something was written.
    pub(crate) fn scope(&self, span: &Span) -> &'d Scope<'d> {
        // There is a scope for each file, and a file for each place.
        &self.scopes[self.modules.of(span)]
    }
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
        self.names_at(context, &self.def.name.span)
    }

    /// Names that a text about the node may use which need not stand in its file: `outputs:`, or `resources:` of a profile.
    pub(crate) fn names_at<'a>(&'a self, context: &Context<'a>, text: &Span) -> Names<'a> {
        Names { scope: context.scope(text), axes: context.axes, here: &self.axes, place: &self.place }
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

    /// Index of the node that a name means in one of the files.
    pub(crate) fn find(&self, modules: &Modules, file: usize, name: &str) -> Option<usize> {
        let whole = format!("{}{name}", modules.prefix(file));
        let index = *self.by_name.get(whole.as_str())?;
        modules.within(modules.of(&self.nodes.get(index)?.def.name.span), file).then_some(index)
    }

    /// The names of nodes as one of the files writes them.
    pub(crate) fn names(&self, modules: &Modules, file: usize) -> Vec<&'d str> {
        let prefix = modules.prefix(file);
        let names = self.nodes.iter().map(|node| &node.def.name);
        let known = names.filter(|name| modules.within(modules.of(&name.span), file));
        known.filter_map(|name| name.name.strip_prefix(prefix)).collect()
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
    /// `resources:`, names checked.
    pub(crate) needs: NodeNeeds,
    /// `retries:` against the kind.
    pub(crate) retries: Retries,
    /// `shards:` and `batch:`.
    pub(crate) dispatch: Arc<Dispatch>,
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
    /// Producers first; nodes on a cycle are missing.
    pub(crate) order: Order,
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
        let needs = needs::check(context, sketch, out);
        let retries = retries::check(sketch, out);
        let dispatch = Arc::new(dispatch::check(context, sketch, out));
        let broken_axis = sketch.axes.iter().any(|axis| context.axes[*axis].broken);
        // Findings about other parameters or ports do not make values of this node meaningless, unknown axes do.
        let sound = sketch.kind.is_some() && sketch.axes_sound && !broken_axis && live.sound;
        tracing::trace!(node = sketch.name(), findings = out.len() - before, sound, "checked");
        nodes.push(CheckedNode { params, inputs, live, needs, retries, dispatch, sound });
    }
    let outputs = outputs::check(context, &sketches, out);
    let order = cycle::order(&sketches, &nodes, out);
    Checked { sketches, nodes, outputs, order }
}

fn sketch<'d>(context: &Context<'d>, def: &'d NodeDef, out: &mut Vec<Diagnostic>) -> Sketch<'d> {
    let kind = match &def.exec {
        Some(_) => exec::node::kind(context, def, out),
        None => def.uses.as_ref().and_then(|uses| find_kind(context, uses, out)),
    };
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

fn find_kind(context: &Context<'_>, uses: &Text, out: &mut Vec<Diagnostic>) -> Option<Registered> {
    let registry = context.registry;
    if let Some(kind) = registry.get(&uses.value) {
        return Some(kind.clone());
    }
    let root = context.modules.root(context.modules.of(&uses.span));
    let by_path = uses.value.contains('/').then(|| registry.at_path(&root.join(&uses.value)));
    match by_path {
        Some(Ok(kind)) => return Some(kind),
        Some(Err(problem)) => return bad_plugin(&problem, uses, out),
        None => {}
    }
    if let Some(problem) = registry.problem(&uses.value) {
        return bad_plugin(problem, uses, out);
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

fn bad_plugin(problem: &PluginError, uses: &Text, out: &mut Vec<Diagnostic>) -> Option<Registered> {
    out.push(
        Diagnostic::error("celldag::pipeline::bad_plugin", problem.to_string())
            .at(uses.span.clone(), "this executable")
            .help("`EXECUTABLE describe` has to print its description as JSON: see the page on plugins in the documentation"),
    );
    None
}
