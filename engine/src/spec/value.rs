//! A YAML value as written: scalars keep their text and whether it was quoted, everything keeps its place.

use std::ops::Range;

/// Bytes of the source.
pub(crate) type Span = Range<usize>;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    /// Where it stands.
    pub(crate) span: Span,
    /// What stands there.
    pub(crate) data: Data,
}

/// What a [`Tree`] holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// A word, number or text.
    Scalar(Scalar),
    /// `[a, b]`
    List(Vec<Tree>),
    /// `{a: 1}`, in file order, without repeated keys.
    Map(Vec<(Key, Tree)>),
}

/// The text of a scalar and whether quotes (or a block style) make it text for sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// Text after YAML's unescaping, before any typing.
    pub(crate) text: String,
    /// `'no'`, `"7"` and block scalars; never `no` or `7`.
    pub(crate) quoted: bool,
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its text.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Tree {
    /// A scalar that nobody quoted.
    pub(crate) fn plain(text: impl Into<String>, span: Span) -> Self {
        Self { span, data: Data::Scalar(Scalar { text: text.into(), quoted: false }) }
    }

    /// A scalar that is text.
    pub(crate) fn quoted(text: impl Into<String>, span: Span) -> Self {
        Self { span, data: Data::Scalar(Scalar { text: text.into(), quoted: true }) }
    }

    /// The scalar, if it is one.
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Whether it is YAML's nothing: an empty value, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        self.scalar()
            .is_some_and(|s| !s.quoted && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for messages: `a list`, `the text "x"`, `` `7` ``.
    pub(crate) fn describe(&self) -> String {
        match &self.data {
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a mapping".to_owned(),
            Data::Scalar(_) if self.is_null() => "nothing".to_owned(),
            Data::Scalar(s) if s.quoted => format!("the text {:?}", s.text),
            Data::Scalar(s) => format!("`{}`", s.text),
        }
    }

    /// The same value at another place: where the user wrote `${name}`.
    pub(crate) fn moved_to(&self, span: &Span) -> Self {
        let data = match &self.data {
            Data::Scalar(scalar) => Data::Scalar(scalar.clone()),
            Data::List(items) => Data::List(items.iter().map(|item| item.moved_to(span)).collect()),
            Data::Map(entries) => Data::Map(
                entries
                    .iter()
                    .map(|(key, value)| {
                        (Key { name: key.name.clone(), span: span.clone() }, value.moved_to(span))
                    })
                    .collect(),
            ),
        };
        Self { span: span.clone(), data }
    }
}
