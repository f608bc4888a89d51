//! `{in:counts}` and its like in the arguments of a program.

use std::ops::Range;

/// A piece of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Stands for itself.
    Text(String),
    /// `{in:PORT}`: path of an input; several arguments for a gathered one.
    In(String),
    /// `{list:PORT}`: path of a JSON file with labels and paths of all artifacts on a port.
    List(String),
    /// `{out:PORT}`: path of an output.
    Out(String),
    /// `{code:PATH}`: path of a file that the program consists of.
    Code(String),
    /// `{param:NAME}`: a value from `with:`; several arguments for a list.
    Param(String),
    /// `{threads}`: how many threads the node may use.
    Threads,
    /// `{scratch}`: an empty folder, gone after the node.
    Scratch,
}

/// All words that may stand before the colon or alone.
pub(crate) const WORDS: &[&str] =
    &["in:PORT", "list:PORT", "out:PORT", "code:PATH", "param:NAME", "threads", "scratch"];

/// Something in braces that is no placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// As written, without braces.
    pub(crate) inside: String,
}

/// Splits a text. What does not look like `{word}` or `{word:...}` stands for itself, and so does `{{word}}`, which gives
/// `{word}`, and `${word}`, which is the business of a shell.
pub(crate) fn parse(text: &str) -> Result<Vec<Piece>, Unknown> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        literal.push_str(before);
        let doubled = from.strip_prefix('{').filter(|inner| inner.starts_with('{'));
        if let Some(inner) = doubled
            && let Some(range) = braces(inner)
            && inner[range.end..].starts_with('}')
        {
            literal.push_str(&inner[range.clone()]);
            rest = &inner[range.end + 1..];
            continue;
        }
        match braces(from) {
            Some(range) if !literal.ends_with('$') => {
                let piece = piece(&from[1..range.end - 1])?;
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(piece);
                rest = &from[range.end..];
            }
            _ => {
                literal.push('{');
                rest = &from[1..];
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// The extent of `{word}` or `{word:...}` at the beginning of `text`.
fn braces(text: &str) -> Option<Range<usize>> {
    let inner = text.strip_prefix('{')?;
    let end = inner.find(['{', '}'])?;
    let word = inner[..end].split(':').next()?;
    let named = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    (inner[end..].starts_with('}') && named).then_some(0..end + 2)
}

fn piece(inside: &str) -> Result<Piece, Unknown> {
    let unknown = || Unknown { inside: inside.to_owned() };
    let (word, name) = match inside.split_once(':') {
        Some((word, name)) => (word, Some(name.trim()).filter(|name| !name.is_empty()).ok_or_else(unknown)?),
        None => (inside, ""),
    };
    let name = || name.to_owned();
    Ok(match (word, inside.contains(':')) {
        ("in", true) => Piece::In(name()),
        ("list", true) => Piece::List(name()),
        ("out", true) => Piece::Out(name()),
        ("code", true) => Piece::Code(clean(&name())),
        ("param", true) => Piece::Param(name()),
        ("threads", false) => Piece::Threads,
        ("scratch", false) => Piece::Scratch,
        _ => return Err(unknown()),
    })
}

/// One spelling for one file: `./a` is `a`, `scripts/` is `scripts`.
pub(crate) fn clean(path: &str) -> String {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    path.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_leaves_other_braces_alone() {
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(parse("a"), Ok(vec![text("a")]));
        assert_eq!(parse(""), Ok(vec![text("")]));
        assert_eq!(
            parse("--in={in:counts}.{threads}"),
            Ok(vec![text("--in="), Piece::In("counts".into()), text("."), Piece::Threads])
        );
        assert_eq!(
            parse("{code:./a/b.py}{code:a/}"),
            Ok(vec![Piece::Code("a/b.py".into()), Piece::Code("a".into())])
        );
        for literal in ["{\"a\":{\"b\":1}}", "{print $1}", "${HOME}", "{}", "{", "}", "{a b}", "{1}"] {
            assert_eq!(parse(literal), Ok(vec![text(literal)]), "{literal}");
        }
        assert_eq!(parse("{{in:x}}"), Ok(vec![text("{in:x}")]));
        assert_eq!(parse("{{{in:x}"), Ok(vec![text("{{"), Piece::In("x".into())]));
        for (wrong, inside) in
            [("{input:x}", "input:x"), ("{in}", "in"), ("{out:}", "out:"), ("{threads:2}", "threads:2")]
        {
            assert_eq!(parse(wrong), Err(Unknown { inside: inside.into() }), "{wrong}");
        }
    }
}
