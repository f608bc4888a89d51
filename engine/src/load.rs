//! A pipeline file becomes a checked [`Pipeline`], or a list of everything that is wrong with it.

use std::path::Path;
use std::sync::Arc;

use crate::check::scope::Scope;
use crate::check::suggest::hint;
use crate::check::{self, Context};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, SourceText};
use crate::expand::paths::Paths;
use crate::expand::{axes, jobs, outputs};
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::spec::document::{Document, ProfileDef};
use crate::spec::{parse, read};

/// What the command line adds to a pipeline file.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// `--set NAME=VALUE`, in order; later ones win.
    pub set: Vec<(String, String)>,
    /// `--profile NAME`.
    pub profile: Option<String>,
}

/// Reads, checks and expands a pipeline. `text` stands in for the content of `file` (editors, standard input).
///
/// Nothing but the file itself, tables of axes and the existence of input files is looked at.
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
    let source = Arc::new(SourceText::new(file.display().to_string(), text));
    let absolute = std::path::absolute(file).map_err(|e| {
        Diagnostic::error("celldag::pipeline::unreadable", format!("{}: {e}", file.display()))
    })?;
    let root = absolute.parent().unwrap_or(Path::new("/"));
    let mut findings = Vec::new();
    let pipeline = build(&source, file, root, registry, options, &mut findings);
    let findings = Diagnostics::new(findings, &source);
    match pipeline {
        Some(pipeline) if !findings.has_errors() => Ok(Pipeline { warnings: findings.items, ..pipeline }),
        _ => Err(findings),
    }
}

fn build(
    source: &SourceText,
    file: &Path,
    root: &Path,
    registry: &Registry,
    options: &LoadOptions,
    out: &mut Vec<Diagnostic>,
) -> Option<Pipeline> {
    let Some(tree) = parse::parse(&source.text, out) else {
        if out.is_empty() {
            out.push(
                Diagnostic::error("celldag::pipeline::empty", "the pipeline file is empty")
                    .at(0..0, "here")
                    .help("begin it with `celldag: 1` and add `nodes:`"),
            );
        }
        return None;
    };
    let document = read::read(&tree, out);
    let profile = chosen_profile(&document, options.profile.as_deref(), out);
    let scope = Scope::new(&document, profile, &options.set, out);
    let axes = axes::read(&document, profile, &scope, root, out);
    let context = Context { document: &document, registry, scope: &scope, axes: &axes, root };
    let checked = check::check(&context, out);

    let mut all = jobs::enumerate(&context, &checked, out);
    let mut paths = Paths::default();
    jobs::check_files(&context, &checked, &all, &mut paths, out);
    let errors = |out: &[Diagnostic]| out.iter().any(|finding| finding.severity == Severity::Error);
    let mut pipeline = None;
    if !errors(out) {
        let jobs = jobs::connect(&context, &checked, &mut all, &mut paths, out);
        let outputs = outputs::expand(&context, &checked, &all, &jobs, out);
        pipeline = Some(Pipeline {
            name: name(&document, file),
            file: file.to_owned(),
            root: root.to_owned(),
            tables: axes.iter().filter_map(|axis| axis.table.clone()).collect(),
            salt: document.salt.clone(),
            strict_numerics: document.strict,
            jobs,
            outputs,
            warnings: Vec::new(),
        });
    }
    paths.report(out);
    // What is unused after an error may only be unused because of it.
    if !errors(out) {
        warn_unused(&context, out);
    }
    pipeline
}

fn chosen_profile<'d>(
    document: &'d Document,
    wanted: Option<&str>,
    out: &mut Vec<Diagnostic>,
) -> Option<&'d ProfileDef> {
    let wanted = wanted?;
    let found = document.profiles.iter().find(|profile| profile.name.name == wanted);
    if found.is_none() {
        let names = document.profiles.iter().map(|profile| profile.name.name.as_str());
        out.push(
            Diagnostic::error(
                "celldag::pipeline::unknown_profile",
                format!("the pipeline has no profile `{wanted}`"),
            )
            .help("it has no `profiles:` at all")
            .maybe_help(hint(wanted, "profiles", names)),
        );
    }
    found
}

/// `name:`, else the name of the file.
fn name(document: &Document, file: &Path) -> String {
    let stem =
        || file.file_stem().map_or_else(|| "pipeline".to_owned(), |stem| stem.to_string_lossy().into_owned());
    document.name.as_ref().map_or_else(stem, |name| name.value.clone())
}

fn warn_unused(context: &Context<'_>, out: &mut Vec<Diagnostic>) {
    for key in context.scope.unused() {
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
