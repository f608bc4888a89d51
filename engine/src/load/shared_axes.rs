//! Axes that included files share by name although the files lie in different folders.
//!
//! The values of an axis are texts. Where a path begins with one, it starts at the folder of the file that wrote the axis: if
//! two files wrote the same texts, these mean different files in each, and one axis cannot stand for both.

use std::path::{Path, PathBuf};

use crate::check::modules::Modules;
use crate::diagnostic::Diagnostic;
use crate::expand::table;
use crate::spec::document::{Document, InputItem};
use crate::spec::template::{Part, Reference, Template};
use crate::spec::{Data, Key, Tree};

/// An axis that two files wrote with the same text.
pub(super) struct SharedAxis {
    /// The one that stands for both.
    pub(super) kept: Key,
    /// The other one.
    pub(super) again: Key,
    /// What both wrote.
    pub(super) values: Tree,
}

/// Refuses axes whose values begin paths that differ between the files that share them.
pub(super) fn check(
    shared: &[SharedAxis],
    document: &Document,
    modules: &Modules,
    out: &mut Vec<Diagnostic>,
) {
    for axis in shared {
        // A file further up has an axis of this name, which counts instead of both.
        let counts = |key: &Key| key.name == axis.kept.name && key.span == axis.kept.span;
        if !document.axes.iter().any(|(key, _)| counts(key)) {
            continue;
        }
        let root = |key: &Key| modules.root(modules.of(&key.span)).to_owned();
        let (one, two) = (root(&axis.kept), root(&axis.again));
        let items = document.nodes.iter().flat_map(|node| &node.inputs).flat_map(|(_, input)| &input.items);
        let used = items.filter_map(|item| Some((item, begins_with(item, &axis.kept.name)?)));
        let mixed = |(_, reference): &(&InputItem, Reference)| {
            let texts = texts(&axis.values, reference.column.as_deref(), &one);
            texts.iter().any(|text| folder(&one, text) != folder(&two, text))
        };
        let Some((item, _)) = used.into_iter().find(mixed) else { continue };
        let name = &axis.kept.name;
        out.push(
            Diagnostic::error(
                "celldag::pipeline::axis_twice",
                format!(
                    "two included files share the axis `{name}`, whose values begin paths: in their folders these are \
                     different files"
                ),
            )
            .at(axis.again.span.clone(), "here")
            .and(axis.kept.span.clone(), "and here")
            .and(item.text.span.clone(), "this path begins with a value of it")
            .help(format!(
                "write the axis in the file that includes both, with paths from there on: axes: {{{name}: ...}}; or give \
                 the two axes different names"
            )),
        );
    }
}

/// The reference to the axis that a path begins with.
fn begins_with(item: &InputItem, axis: &str) -> Option<Reference> {
    let template = Template::parse(&item.text.value).ok()?;
    match template.parts.into_iter().next()? {
        Part::Ref(reference) if reference.name == axis => Some(reference),
        _ => None,
    }
}

/// The texts that the reference stands for. A table that cannot be read is told elsewhere.
fn texts(values: &Tree, column: Option<&str>, root: &Path) -> Vec<String> {
    let scalar = |tree: &Tree| tree.scalar().map(|scalar| scalar.text.clone());
    match &values.data {
        Data::List(items) => items.iter().filter_map(scalar).collect(),
        Data::Map(entries) => {
            let get =
                |name: &str| entries.iter().find(|(key, _)| key.name == name).and_then(|(_, v)| scalar(v));
            let (Some(from), Some(key)) = (get("from"), get("key")) else { return Vec::new() };
            let Ok(read) = table::read(&root.join(from)) else { return Vec::new() };
            let column = column.unwrap_or(&key);
            let Some(index) = read.columns.iter().position(|name| name == column) else { return Vec::new() };
            read.rows.iter().filter_map(|row| row.get(index).cloned()).collect()
        }
        Data::Scalar(_) => Vec::new(),
    }
}

/// The folder that a path which begins with the text leads to.
fn folder(root: &Path, text: &str) -> PathBuf {
    let path = root.join(text);
    let folder = path.parent().unwrap_or(&path);
    fs_err::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}
