//! A pipeline file becomes a checked [`Pipeline`], or a list of everything that is wrong with it.

mod modules;
mod profiles;
mod shared_axes;

use std::path::Path;

use crate::check::modules::Modules;
use crate::check::scope::Scope;
use crate::check::{self, Context};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::expand::paths::Paths;
use crate::expand::{axes, jobs, order, outputs};
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::spec::document::Document;
use modules::Whole;

/// What the command line adds to a pipeline file.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// `--set NAME=VALUE`, in order; later ones win.
    pub set: Vec<(String, String)>,
    /// `--profile NAME`, in order; later ones win.
    pub profiles: Vec<String>,
}

/// Reads, checks and expands a pipeline. `text` stands in for the content of `file` (editors, standard input).
///
/// Nothing but the file itself, files that it includes, tables of axes and the existence of input files is looked at.
///
/// # Errors
/// Everything that is wrong, at once, in file order. Text that is not YAML hides what else may be wrong.
pub fn load(
    file: &Path,
    text: Option<&str>,
    registry: &Registry,
    options: &LoadOptions,
) -> Result<Pipeline, Diagnostics> {
    let text = match text {
        Some(text) => text.to_owned(),
        None => fs_err::read_to_string(file).map_err(|e| {
            Diagnostic::error("celldag::pipeline::unreadable", format!("the pipeline cannot be read: {e}"))
                .help("give the path of a pipeline file, in UTF-8")
        })?,
    };
    let absolute = std::path::absolute(file).map_err(|e| {
        Diagnostic::error("celldag::pipeline::unreadable", format!("{}: {e}", file.display()))
    })?;
    let root = absolute.parent().unwrap_or(Path::new("/"));
    let mut findings = Vec::new();
    let whole = modules::read_all(file, root, text, &mut findings);
    let Whole { modules, document, readable } = whole;
    let pipeline =
        readable.then(|| build(&modules, document, file, registry, options, &mut findings)).flatten();
    let findings = modules.sources.resolve(findings);
    match pipeline {
        Some(pipeline) if !findings.has_errors() => Ok(Pipeline { warnings: findings.items, ..pipeline }),
        _ => Err(findings),
    }
}

fn build(
    modules: &Modules,
    mut document: Document,
    file: &Path,
    registry: &Registry,
    options: &LoadOptions,
    out: &mut Vec<Diagnostic>,
) -> Option<Pipeline> {
    profiles::apply_overrides(&mut document, modules, &options.profiles, out);
    let profiles = profiles::chosen(&document, &options.profiles, out);
    let mut scopes = vec![Scope::new(&document, &profiles, &options.set, out)];
    for module in modules.list.iter().skip(1) {
        let outer = &scopes[module.parent.unwrap_or(0)];
        let scope = Scope::included(module, &document.axes, outer, out);
        scopes.push(scope);
    }
    let axes = axes::read(&document, &profiles, modules, &scopes, out);
    let context = Context { document: &document, registry, modules, scopes: &scopes, axes: &axes };
    let checked = check::check(&context, out);

    let mut all = jobs::enumerate(&context, &checked, out);
    let mut paths = Paths::default();
    jobs::check_files(&context, &checked, &all, &mut paths, out);
    let errors = |out: &[Diagnostic]| out.iter().any(|finding| finding.severity == Severity::Error);
    let mut pipeline = None;
    if !errors(out) {
        let mut jobs = jobs::connect(&context, &checked, &mut all, &mut paths, out);
        let mut outputs = outputs::expand(&context, &checked, &all, &jobs, out);
        if let Some(place) = checked.order.choice.as_ref().filter(|_| !errors(out)) {
            jobs = order::sort(jobs, &mut outputs, place, out);
        }
        pipeline = Some(Pipeline {
            name: name(&document, file),
            file: file.to_owned(),
            root: modules.root(0).to_owned(),
            also_read: Vec::new(),
            tables: axes.iter().filter_map(|axis| axis.table.clone()).collect(),
            included: modules.included().map(Path::to_owned).collect(),
            salt: document.salt.clone(),
            strict_numerics: document.strict,
            secrets: document.secrets.iter().map(|name| name.value.clone()).collect(),
            lineage: None,
            jobs,
            outputs,
            warnings: Vec::new(),
        });
    }
    paths.report(out);
    warn_unset(&document, out);
    // What is unused after an error may only be unused because of it.
    if !errors(out) {
        warn_unused(&context, out);
    }
    pipeline
}

/// `name:`, else the name of the file.
fn name(document: &Document, file: &Path) -> String {
    let stem =
        || file.file_stem().map_or_else(|| "pipeline".to_owned(), |stem| stem.to_string_lossy().into_owned());
    document.name.as_ref().map_or_else(stem, |name| name.value.clone())
}

/// A run would fail only at the nodes that need the variable, perhaps hours later.
fn warn_unset(document: &Document, out: &mut Vec<Diagnostic>) {
    for name in document.secrets.iter().filter(|name| std::env::var_os(&name.value).is_none()) {
        out.push(
            Diagnostic::warning(
                "celldag::pipeline::secret_not_set",
                format!("the environment variable {} is not set", name.value),
            )
            .at(name.span.clone(), "nodes that need it will fail")
            .help(format!("set it where celldag runs: export {}=...", name.value)),
        );
    }
}

fn warn_unused(context: &Context<'_>, out: &mut Vec<Diagnostic>) {
    for key in context.scopes.iter().flat_map(Scope::unused) {
        out.push(
            Diagnostic::warning(
                "celldag::pipeline::unused_param",
                format!("parameter `{}` is used nowhere", key.name),
            )
            .at(key.span.clone(), "not used")
            .help(format!("write ${{{}}} where it is needed, or remove it", key.name)),
        );
    }
    for axis in context.axes.iter().filter(|axis| !axis.used.get()) {
        out.push(
            Diagnostic::warning(
                "celldag::pipeline::unused_axis",
                format!("no node varies over axis `{}`", axis.name),
            )
            .at(axis.span.clone(), "not used")
            .help(format!("add `foreach: [{}]` to a node, or remove it", axis.name)),
        );
    }
}

#[cfg(test)]
mod tests;
