//! `when:`: a comparison of values known before anything runs.
//!
//! ```text
//! when: "${platform} == '10x' and not (${model} in [uce, llama])"
//! ```
//! Values, `==`, `!=`, `in`, `not in`, `and`, `or`, `not`, parentheses; nothing else. Two numbers are compared as numbers,
//! everything else as text.

use super::interpolate::{Combination, Names};
use crate::spec::template::{Reference, Template};
use crate::spec::{Data, Span, Tree};

/// A parsed condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// A value that is itself true or false.
    Is(Operand),
    /// `a == b`
    Equal(Operand, Operand),
    /// `a in b`
    In(Operand, Vec<Operand>),
    /// `not a`
    Not(Box<Condition>),
    /// `a and b`
    And(Box<Condition>, Box<Condition>),
    /// `a or b`
    Or(Box<Condition>, Box<Condition>),
}

/// One side of a comparison: a word, or a text with references.
pub(crate) type Operand = Template;

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What was expected where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        if tokens.len() > MAX_TOKENS {
            return Err("the condition is too long".to_owned());
        }
        let mut parser = Parser { tokens, at: 0, depth: 0 };
        let condition = parser.or()?;
        match parser.peek() {
            None => Ok(condition),
            Some(token) => Err(format!("unexpected {}", token.shown())),
        }
    }

    /// Every value in it, to check the names.
    pub(crate) fn operands(&self) -> Vec<&Operand> {
        match self {
            Self::Is(a) => vec![a],
            Self::Equal(a, b) => vec![a, b],
            Self::In(a, list) => std::iter::once(a).chain(list).collect(),
            Self::Not(a) => a.operands(),
            Self::And(a, b) | Self::Or(a, b) => a.operands().into_iter().chain(b.operands()).collect(),
        }
    }

    /// Whether it holds for one job.
    ///
    /// # Errors
    /// A message, when a value cannot be compared.
    pub(crate) fn holds(&self, names: &Names<'_>, at: Combination<'_>, span: &Span) -> Result<bool, String> {
        let texts = |operand: &Operand| -> Result<Vec<String>, String> {
            if operand.single().is_some() {
                let whole = Tree::quoted(written(operand), span.clone());
                if let Data::List(items) = &names.fill(&whole, at).map_err(|(_, message)| message)?.data {
                    let text = |item: &Tree| item.scalar().map(|s| s.text.clone());
                    return items
                        .iter()
                        .map(text)
                        .collect::<Option<_>>()
                        .ok_or_else(|| "lists of lists cannot be compared".to_owned());
                }
            }
            names.render(operand, at).map(|text| vec![text])
        };
        let one = |operand: &Operand| names.render(operand, at);
        match self {
            Self::Is(a) => match one(a)?.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                other => Err(format!("`{other}` is neither true nor false")),
            },
            Self::Equal(a, b) => Ok(same(&one(a)?, &one(b)?)),
            Self::In(a, list) => {
                let a = one(a)?;
                for operand in list {
                    if texts(operand)?.iter().any(|b| same(&a, b)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(a) => Ok(!a.holds(names, at, span)?),
            Self::And(a, b) => Ok(a.holds(names, at, span)? && b.holds(names, at, span)?),
            Self::Or(a, b) => Ok(a.holds(names, at, span)? || b.holds(names, at, span)?),
        }
    }
}

fn written(operand: &Operand) -> String {
    match operand.single() {
        Some(Reference { name, column: Some(column) }) => format!("${{{name}.{column}}}"),
        Some(Reference { name, column: None }) => format!("${{{name}}}"),
        None => String::new(),
    }
}

fn same(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// `==`, `(`, `and` ...
    Sign(&'static str),
    /// A value.
    Value(Operand),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Sign(sign) => format!("`{sign}`"),
            Self::Value(_) => "a second value; join comparisons with `and` or `or`".to_owned(),
        }
    }
}

/// Conditions are short; the bounds keep hostile text from exhausting the stack.
const MAX_TOKENS: usize = 1000;
const MAX_DEPTH: usize = 64;

const SIGNS: [&str; 7] = ["==", "!=", "(", ")", "[", "]", ","];
const WORDS: [&str; 4] = ["and", "or", "not", "in"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length;
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            length = sign.len();
        } else if first == '\'' || first == '"' {
            let end = rest[1..].find(first).ok_or_else(|| format!("{first} is not closed"))?;
            tokens.push(Token::Value(Template::parse(&rest[1..=end])?));
            length = end + 2;
        } else {
            length = word_length(rest);
            let word = &rest[..length];
            if let Some(sign) = WORDS.iter().find(|sign| **sign == word) {
                tokens.push(Token::Sign(sign));
            } else if length == 0 || word.contains(['<', '>', '=', '&', '|', '!', '+', '*']) {
                let found = if length == 0 { first.to_string() } else { word.to_owned() };
                return Err(format!("`{found}` is not understood; there are ==, !=, in, and, or, not"));
            } else {
                tokens.push(Token::Value(Template::parse(word)?));
            }
        }
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Length of a bare word; `${...}` belongs to it whatever is inside.
fn word_length(rest: &str) -> usize {
    let mut at = 0;
    while let Some(c) = rest[at..].chars().next() {
        if rest[at..].starts_with("${") {
            at += rest[at..].find('}').map_or(rest.len() - at, |end| end + 1);
        } else if c.is_whitespace()
            || "()[],'\"".contains(c)
            || rest[at..].starts_with("==")
            || rest[at..].starts_with("!=")
        {
            break;
        } else {
            at += c.len_utf8();
        }
    }
    at
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Condition, String> {
        let mut left = self.and()?;
        while self.take("or") {
            left = Condition::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Condition, String> {
        let mut left = self.not()?;
        while self.take("and") {
            left = Condition::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the condition is nested too deeply".to_owned());
        }
        let condition = if self.take("not") {
            Ok(Condition::Not(Box::new(self.not()?)))
        } else if self.take("(") {
            let inside = self.or()?;
            if self.take(")") { Ok(inside) } else { Err("`(` is not closed".to_owned()) }
        } else {
            self.comparison()
        };
        self.depth -= 1;
        condition
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let left = self.value()?;
        if self.take("==") {
            return Ok(Condition::Equal(left, self.value()?));
        }
        if self.take("!=") {
            return Ok(Condition::Not(Box::new(Condition::Equal(left, self.value()?))));
        }
        let negated = self.take("not");
        if self.take("in") {
            let inside = Condition::In(left, self.list()?);
            return Ok(if negated { Condition::Not(Box::new(inside)) } else { inside });
        }
        if negated { Err("expected `in` after `not`".to_owned()) } else { Ok(Condition::Is(left)) }
    }

    fn list(&mut self) -> Result<Vec<Operand>, String> {
        if !self.take("[") {
            return Ok(vec![self.value()?]);
        }
        let mut items = Vec::new();
        while !self.take("]") {
            items.push(self.value()?);
            if !self.take(",") && self.peek() != Some(&Token::Sign("]")) {
                return Err("`[` is not closed".to_owned());
            }
        }
        Ok(items)
    }

    fn value(&mut self) -> Result<Operand, String> {
        match self.tokens.get(self.at) {
            Some(Token::Value(value)) => {
                self.at += 1;
                Ok(value.clone())
            }
            Some(Token::Sign(sign)) => Err(format!("expected a value, not `{sign}`")),
            None => Err("expected a value at the end".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
