//! `{by: strategy, frozen: a.b, lora: c.d, default: e.f}`: one of several values, chosen by the value of an axis.

use super::document::Text;
use super::value::{Data, Key, Span, Tree};
use crate::diagnostic::Diagnostic;

/// The case of all values that have none of their own.
pub(crate) const DEFAULT: &str = "default";

/// A choice as written.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceDef {
    /// `strategy`, or `dataset.platform` for a column of a table.
    pub(crate) by: Text,
    /// Where the whole choice stands.
    pub(crate) span: Span,
    /// The cases in file order, without `by`.
    pub(crate) cases: Vec<Key>,
    /// Cases that take nothing (`default: null`, `frozen: []`).
    pub(crate) nothing: Vec<usize>,
}

/// Whether a value is written as a choice: a mapping with `by`.
pub(crate) fn is_choice(tree: &Tree) -> bool {
    matches!(&tree.data, Data::Map(entries) if entries.iter().any(|(key, _)| key.name == "by"))
}

/// The finding that `by` is no word.
pub(crate) fn no_axis(tree: &Tree) -> Diagnostic {
    Diagnostic::error("celldag::pipeline::no_choice", "`by:` must be the name of an axis")
        .at(tree.span.clone(), "chosen by what?")
        .help("write {by: axis, value: ..., default: ...}")
}

/// The choice that a value is, with the values of its cases in the same order; `None` for other values and for a `by` that
/// is no word.
pub(crate) fn split(tree: &Tree) -> Option<(ChoiceDef, Vec<&Tree>)> {
    let Data::Map(entries) = &tree.data else { return None };
    let by = entries.iter().find(|(key, _)| key.name == "by").map(|(_, value)| value)?;
    let word = by.scalar().filter(|_| !by.is_null())?;
    let by = Text { value: word.text.clone(), span: by.span.clone() };
    let cases: Vec<&(Key, Tree)> = entries.iter().filter(|(key, _)| key.name != "by").collect();
    let is_nothing = |value: &Tree| value.is_null() || matches!(&value.data, Data::List(l) if l.is_empty());
    let nothing =
        cases.iter().enumerate().filter(|(_, (_, value))| is_nothing(value)).map(|(n, _)| n).collect();
    let def = ChoiceDef {
        by,
        span: tree.span.clone(),
        cases: cases.iter().map(|(key, _)| key.clone()).collect(),
        nothing,
    };
    Some((def, cases.into_iter().map(|(_, value)| value).collect()))
}
