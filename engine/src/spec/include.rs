//! `include:`: which files, with which parameters, under which name.

use super::document::Text;
use super::read::{Fields, entries, text, wrong_shape};
use super::template::is_name;
use super::value::{Data, Key, Span, Tree};
use crate::diagnostic::Diagnostic;

/// One entry of `include:`.
#[derive(Clone, Debug)]
pub(crate) struct IncludeDef {
    /// The file, relative to the folder of the file that includes it.
    pub(crate) file: Text,
    /// Its parameters.
    pub(crate) with: Vec<(Key, Tree)>,
    /// `as:`, put before the names of its nodes.
    pub(crate) prefix: Option<Text>,
    /// Where the entry stands.
    pub(crate) span: Span,
}

/// Reads the list; a single entry needs no list, and a file without parameters no mapping.
pub(super) fn read_includes(tree: &Tree, out: &mut Vec<Diagnostic>) -> Vec<IncludeDef> {
    match &tree.data {
        Data::List(items) => items.iter().filter_map(|item| read_include(item, out)).collect(),
        _ if tree.is_null() => Vec::new(),
        _ => read_include(tree, out).into_iter().collect(),
    }
}

const FORM: &str = "write {file: qc.yaml, with: {min_genes: 200}, as: std}";

fn read_include(tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<IncludeDef> {
    let span = tree.span.clone();
    if let Some(scalar) = tree.scalar().filter(|_| !tree.is_null()) {
        let file = Text { value: scalar.text.clone(), span: span.clone() };
        return literal(IncludeDef { file, with: Vec::new(), prefix: None, span }, out);
    }
    let Data::Map(_) = &tree.data else {
        out.push(
            wrong_shape(tree, "each part of `include:`", "a file, or a mapping with `file:`").help(FORM),
        );
        return None;
    };
    let fields = Fields::read(tree, "`include:`", &["file", "with", "as"], out)?;
    let prefix = fields.get("as").and_then(|(key, value)| text(key, value, out)).filter(|prefix| {
        let sound = is_name(&prefix.value);
        if !sound {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::bad_name",
                    format!("`{}` cannot stand before the names of nodes", prefix.value),
                )
                .at(prefix.span.clone(), "name")
                .help("a name begins with a letter and goes on with letters, digits, `_` and `-`"),
            );
        }
        sound
    });
    let with = entries(&fields, "with", out);
    let Some((key, value)) = fields.get("file") else {
        out.push(
            Diagnostic::error("celldag::pipeline::include", "an entry of `include:` names no file")
                .at(span, "which file?")
                .help(FORM),
        );
        return None;
    };
    literal(IncludeDef { file: text(key, value, out)?, with, prefix, span }, out)
}

/// Which files belong to a pipeline must be seen before any of its values are known.
fn literal(include: IncludeDef, out: &mut Vec<Diagnostic>) -> Option<IncludeDef> {
    if !include.file.value.contains("${") {
        return Some(include);
    }
    out.push(
        Diagnostic::error("celldag::pipeline::include", "the name of an included file must be written out")
            .at(include.file.span.clone(), "depends on a value")
            .help("include both files, and choose between their nodes with `when:`"),
    );
    None
}
