//! The parameters of a pipeline with the values they have in this run: file, then profile, then `--set`.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::interpolate::Names;
use super::modules::Module;
use super::suggest::hint;
use crate::diagnostic::Diagnostic;
use crate::spec::document::{Document, ProfileDef};
use crate::spec::template::Template;
use crate::spec::{Data, Key, Span, Tree, parse};

/// Who gave a parameter its value.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// `params:` or a profile, with the place of the value.
    File(Span),
    /// `--set NAME=VALUE`.
    Set(String),
}

struct Given {
    value: Tree,
    origin: Origin,
    used: Cell<bool>,
}

/// The parameters of one file: name → value.
pub(crate) struct Scope<'d> {
    /// `params:` as written.
    written: &'d [(Key, Tree)],
    /// All axes of the pipeline.
    axes: &'d [(Key, Tree)],
    params: BTreeMap<&'d str, Given>,
}

impl<'d> Scope<'d> {
    /// Lays the profiles and `--set` over the file.
    pub(crate) fn new(
        document: &'d Document,
        profiles: &[&'d ProfileDef],
        set: &[(String, String)],
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut scope = Self::of_file(&document.params, &document.axes, out);
        for other in &document.profiles {
            for (key, value) in &other.params {
                refuse_nested(value, out);
                if !scope.params.contains_key(key.name.as_str()) {
                    out.push(
                        scope
                            .unknown(&key.name, "celldag::pipeline::unknown_param")
                            .at(key.span.clone(), "unknown"),
                    );
                }
            }
        }
        for (key, value) in profiles.iter().flat_map(|profile| &profile.params) {
            if scope.params.contains_key(key.name.as_str()) {
                scope.give(&key.name, value.clone(), Origin::File(value.span.clone()));
            }
        }
        for (name, text) in set {
            scope.set(name, text, out);
        }
        scope
    }

    /// The parameters of an included file: what it was included with, filled in by the file that includes it (`outer`).
    pub(crate) fn included(
        module: &'d Module,
        axes: &'d [(Key, Tree)],
        outer: &Scope<'_>,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut scope = Self::of_file(&module.params, axes, out);
        let place = format!("`with:` of the file {}", module.name);
        let names = Names { scope: outer, axes: &[], here: &[], place: &place };
        for (key, value) in &module.with {
            if !scope.params.contains_key(key.name.as_str()) {
                let message = format!("the file {} has no parameter `{}`", module.name, key.name);
                let known = hint(&key.name, "its parameters", scope.names());
                out.push(
                    Diagnostic::error("celldag::pipeline::unknown_param", message)
                        .at(key.span.clone(), "unknown parameter")
                        .help("it has no `params:` at all")
                        .maybe_help(known),
                );
            }
            if let Some(axis) = axes.iter().find(|(axis, _)| names_axis(value, &axis.name)) {
                out.push(per_job(&axis.0.name, &value.span));
                continue;
            }
            if names.check(value, out).is_none() {
                continue;
            }
            match names.fill_in_place(value) {
                Ok(value) => {
                    let origin = Origin::File(value.span.clone());
                    scope.give(&key.name, value, origin);
                }
                Err((span, message)) => out.push(
                    Diagnostic::error("celldag::pipeline::bad_interpolation", message).at(span, "here"),
                ),
            }
        }
        scope
    }

    fn of_file(written: &'d [(Key, Tree)], axes: &'d [(Key, Tree)], out: &mut Vec<Diagnostic>) -> Self {
        let mut scope = Self { written, axes, params: BTreeMap::new() };
        for (key, value) in written {
            refuse_nested(value, out);
            scope.give(&key.name, value.clone(), Origin::File(value.span.clone()));
        }
        scope
    }

    fn give(&mut self, name: &'d str, value: Tree, origin: Origin) {
        self.params.insert(name, Given { value, origin, used: Cell::new(false) });
    }

    fn unknown(&self, name: &str, code: &'static str) -> Diagnostic {
        let help = if self.axes.iter().any(|(key, _)| key.name == name) {
            Some(format!("`{name}` is an axis: change it in the file or through a profile"))
        } else {
            hint(name, "parameters", self.names())
        };
        Diagnostic::error(code, format!("the pipeline has no parameter `{name}`"))
            .help("it has no `params:` at all")
            .maybe_help(help)
    }

    fn set(&mut self, name: &str, text: &str, out: &mut Vec<Diagnostic>) {
        let written = format!("--set {name}={text}");
        let key = self.written.iter().map(|(key, _)| key).find(|key| key.name == name);
        let (Some(key), Some(before)) = (key, self.params.get(name)) else {
            let mut finding = self.unknown(name, "celldag::pipeline::unknown_set");
            finding.message = format!("{written}: {}", finding.message);
            out.push(finding);
            return;
        };
        let place = key.span.clone();
        let value = match &before.value.data {
            Data::Scalar(_) => Some(word(text, place.clone())),
            Data::List(_) | Data::Map(_) => collection(text, &place),
        };
        match value {
            Some(value) if same_shape(&value, &before.value) => {
                self.give(&key.name, value, Origin::Set(written));
            }
            _ => out.push(
                Diagnostic::error(
                    "celldag::pipeline::wrong_set",
                    format!("{written}: expected {}, as in the file", before.value.describe()),
                )
                .at(place, "defined here")
                .help(format!("write it as in the file: --set '{name}=[a, b]'")),
            ),
        }
    }

    /// The value of a parameter, which counts as used from now on.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        let given = self.params.get(name)?;
        given.used.set(true);
        Some(&given.value)
    }

    /// Where a parameter got its value.
    pub(crate) fn origin(&self, name: &str) -> Option<&Origin> {
        self.params.get(name).map(|given| &given.origin)
    }

    /// The entry of `params:` with a name.
    pub(crate) fn written(&self, name: &str) -> Option<&'d Key> {
        self.written.iter().map(|(key, _)| key).find(|key| key.name == name)
    }

    /// Where the value of a parameter was written, which need not be the file that has the parameter.
    pub(crate) fn place(&self, name: &str) -> Option<&Span> {
        self.params.get(name).map(|given| &given.value.span)
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.params.keys().copied()
    }

    /// Parameters that nothing reads.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &'d Key> {
        self.written
            .iter()
            .map(|(key, _)| key)
            .filter(|key| self.params.get(key.name.as_str()).is_some_and(|given| !given.used.get()))
    }
}

/// A value of an included file is known before there are jobs.
fn per_job(axis: &str, span: &Span) -> Diagnostic {
    Diagnostic::error(
        "celldag::pipeline::axis_not_here",
        format!("a parameter of an included file cannot differ between the values of the axis `{axis}`"),
    )
    .at(span.clone(), "names an axis")
    .help(format!("axes are shared by name: write ${{{axis}}} in the included file"))
}

fn names_axis(value: &Tree, axis: &str) -> bool {
    match &value.data {
        Data::Scalar(scalar) => Template::parse(&scalar.text)
            .is_ok_and(|template| template.references().any(|reference| reference.name == axis)),
        Data::List(items) => items.iter().any(|item| names_axis(item, axis)),
        Data::Map(entries) => entries.iter().any(|(_, item)| names_axis(item, axis)),
    }
}

/// A value from the command line: text as it is. Nothing (`name=`) is the empty text.
pub(crate) fn word(text: &str, place: Span) -> Tree {
    if text.is_empty() { Tree::quoted("", place) } else { Tree::plain(text, place) }
}

/// `[a, b]` or `{a: 1}` from the command line.
pub(crate) fn collection(text: &str, place: &Span) -> Option<Tree> {
    if !text.trim_start().starts_with(['[', '{']) {
        return None;
    }
    let mut findings = Vec::new();
    let tree = parse::parse(text, &mut findings)?;
    findings.is_empty().then(|| tree.moved_to(place))
}

fn same_shape(a: &Tree, b: &Tree) -> bool {
    std::mem::discriminant(&a.data) == std::mem::discriminant(&b.data)
}

fn refuse_nested(value: &Tree, out: &mut Vec<Diagnostic>) {
    match &value.data {
        Data::Scalar(scalar) if scalar.text.contains("${") => out.push(
            Diagnostic::error("celldag::pipeline::nested_param", "a parameter cannot refer to another one")
                .at(value.span.clone(), "`${` in a parameter")
                .help("put the text together where it is used"),
        ),
        Data::Scalar(_) => {}
        Data::List(items) => items.iter().for_each(|item| refuse_nested(item, out)),
        Data::Map(entries) => entries.iter().for_each(|(_, item)| refuse_nested(item, out)),
    }
}
