//! Tokens of the part of Groovy that celldag writes.

/// A token, and whether a line ended before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Lexeme,
    pub(super) first: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme {
    Name(String),
    Int(i64),
    /// Texts and, between them, the source of what is interpolated.
    Text(Vec<Piece>),
    Sign(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Plain(String),
    Code(String),
}

const SIGNS: &[&str] = &[
    "->", "==", "!=", "&&", "||", "?:", "?", ":", ",", "..", ".", "(", ")", "[", "]", "{", "}", "=", "!",
    ">", "<", "+", "-", "*", "/",
];

pub(super) fn lex(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut first = true;
    while let Some(next) = rest.chars().next() {
        if next == '\n' {
            first = true;
            rest = &rest[1..];
            continue;
        }
        if next.is_whitespace() {
            rest = &rest[next.len_utf8()..];
            continue;
        }
        if rest.starts_with("//") || rest.starts_with("#!") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        let kind;
        if next.is_ascii_alphabetic() || next == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            kind = Lexeme::Name(rest[..end].to_owned());
            rest = &rest[end..];
        } else if next.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            kind = Lexeme::Int(rest[..end].parse().expect("a number"));
            rest = &rest[end..];
        } else if next == '"' || next == '\'' {
            let (text, after) = text(rest, next);
            kind = Lexeme::Text(text);
            rest = after;
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.unwrap_or_else(|| panic!("outside of the subset: {rest:.40}"));
            kind = Lexeme::Sign(sign);
            rest = &rest[sign.len()..];
        }
        tokens.push(Token { kind, first });
        first = false;
    }
    tokens
}

/// A text in quotes at the beginning of `source`, and what follows it.
fn text(source: &str, quote: char) -> (Vec<Piece>, &str) {
    let triple = quote.to_string().repeat(3);
    let end = if source.starts_with(&triple) { triple } else { quote.to_string() };
    let mut rest = &source[end.len()..];
    let mut pieces = Vec::new();
    let mut plain = String::new();
    while !rest.starts_with(&end) {
        let next = rest.chars().next().expect("the text ends");
        if next == '\\' {
            let escaped = rest[1..].chars().next().expect("something is escaped");
            plain.push(match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' | '$' | '\'' | '"' => escaped,
                other => panic!("outside of the subset: \\{other}"),
            });
            rest = &rest[1 + escaped.len_utf8()..];
        } else if quote == '"' && next == '$' {
            let (code, after) = code(&rest[1..]);
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            pieces.push(Piece::Code(code));
            rest = after;
        } else {
            plain.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    pieces.push(Piece::Plain(plain));
    (pieces, &rest[end.len()..])
}

/// What stands behind a `$`: `{code}` or `name.name`.
fn code(source: &str) -> (String, &str) {
    if !source.starts_with('{') {
        let mut end = 0;
        let mut chars = source.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let goes_on = chars.peek().is_some_and(|(_, next)| next.is_ascii_alphabetic() || *next == '_');
            if !(c.is_ascii_alphanumeric() || c == '_' || (c == '.' && goes_on)) {
                break;
            }
            end = at + c.len_utf8();
        }
        return (source[..end].to_owned(), &source[end..]);
    }
    let mut depth = 0;
    let mut quoted: Option<char> = None;
    for (at, c) in source.char_indices() {
        match (quoted, c) {
            (Some(quote), c) if c == quote => quoted = None,
            (None, '"' | '\'') => quoted = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (source[1..at].to_owned(), &source[at + 1..]);
        }
    }
    panic!("an interpolation does not end: {source:.40}")
}
