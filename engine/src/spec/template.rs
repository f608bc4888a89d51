//! `${name}` and `${axis.column}` inside a text.

/// A text in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// Pieces in order.
    pub(crate) parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text that stands for itself.
    Text(String),
    /// A reference to a parameter, an axis or a column of an axis.
    Ref(Reference),
}

/// What stands between `${` and `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Parameter or axis.
    pub(crate) name: String,
    /// Column of an axis that comes from a table.
    pub(crate) column: Option<String>,
}

impl Template {
    /// Splits a text. `$${` stands for a literal `${`.
    ///
    /// # Errors
    /// What is wrong with the text, for a message.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(escaped) = before.strip_suffix('$') {
                literal.push_str(escaped);
                literal.push_str("${");
                rest = after;
                continue;
            }
            literal.push_str(before);
            let end = after.find('}').ok_or("`${` has no closing `}`")?;
            let inside = after[..end].trim();
            rest = &after[end + 1..];
            let (name, column) = match inside.split_once('.') {
                Some((name, column)) => (name.trim(), Some(column.trim().to_owned())),
                None => (inside, None),
            };
            if !is_name(name) || column.as_deref() == Some("") {
                return Err(format!("`${{{inside}}}` is not a name; there are no expressions in pipelines"));
            }
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Ref(Reference { name: name.to_owned(), column }));
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The references in order.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Ref(reference) => Some(reference),
            Part::Text(_) => None,
        })
    }

    /// The only piece, when it is a reference: such a text keeps the type of what it names.
    pub(crate) fn single(&self) -> Option<&Reference> {
        match self.parts.as_slice() {
            [Part::Ref(reference)] => Some(reference),
            _ => None,
        }
    }
}

/// Whether a word may name a node, a parameter, an axis or a port.
pub(crate) fn is_name(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_escapes() {
        let parts = |text: &str| Template::parse(text).map(|t| t.parts);
        let reference = |name: &str, column: Option<&str>| {
            Part::Ref(Reference { name: name.into(), column: column.map(Into::into) })
        };
        assert_eq!(parts("a"), Ok(vec![Part::Text("a".into())]));
        assert_eq!(parts(""), Ok(vec![Part::Text(String::new())]));
        assert_eq!(parts("${x}"), Ok(vec![reference("x", None)]));
        assert_eq!(
            parts("a/${d.path}-${ m }"),
            Ok(vec![
                Part::Text("a/".into()),
                reference("d", Some("path")),
                Part::Text("-".into()),
                reference("m", None)
            ])
        );
        assert_eq!(parts("$${x} $5 ${y}"), Ok(vec![Part::Text("${x} $5 ".into()), reference("y", None)]));
        assert!(parts("${x").is_err());
        assert!(parts("${x + 1}").is_err());
        assert!(parts("${}").is_err());
        assert!(parts("${x.}").is_err());
    }
}
