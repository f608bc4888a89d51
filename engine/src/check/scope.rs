//! The parameters of a pipeline with the values they have in this run: file, then profile, then `--set`.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::suggest::hint;
use crate::diagnostic::Diagnostic;
use crate::spec::document::{Document, ProfileDef};
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

/// Name → value.
pub(crate) struct Scope<'d> {
    document: &'d Document,
    params: BTreeMap<&'d str, Given>,
}

impl<'d> Scope<'d> {
    /// Lays the profile and `--set` over the file.
    pub(crate) fn new(
        document: &'d Document,
        profile: Option<&'d ProfileDef>,
        set: &[(String, String)],
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut scope = Self { document, params: BTreeMap::new() };
        for (key, value) in &document.params {
            refuse_nested(value, out);
            scope.give(&key.name, value.clone(), Origin::File(value.span.clone()));
        }
        for other in &document.profiles {
            for (key, value) in &other.params {
                refuse_nested(value, out);
                if !scope.params.contains_key(key.name.as_str()) {
                    out.push(
                        scope
                            .unknown(&key.name, "celldag::pipeline::unknown_param")
                            .at(key.span.clone(), "unknown"),
                    );
                } else if profile.is_some_and(|chosen| chosen.name == other.name) {
                    scope.give(&key.name, value.clone(), Origin::File(value.span.clone()));
                }
            }
        }
        for (name, text) in set {
            scope.set(name, text, out);
        }
        scope
    }

    fn give(&mut self, name: &'d str, value: Tree, origin: Origin) {
        self.params.insert(name, Given { value, origin, used: Cell::new(false) });
    }

    fn unknown(&self, name: &str, code: &'static str) -> Diagnostic {
        let help = if self.document.axes.iter().any(|(key, _)| key.name == name) {
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
        let key = self.document.params.iter().map(|(key, _)| key).find(|key| key.name == name);
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

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.params.keys().copied()
    }

    /// Parameters that nothing reads.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &'d Key> {
        let document = self.document;
        document
            .params
            .iter()
            .map(|(key, _)| key)
            .filter(|key| self.params.get(key.name.as_str()).is_some_and(|given| !given.used.get()))
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
