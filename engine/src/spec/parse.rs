//! Text to [`Tree`]: the only file that names the YAML crate.
//!
//! Its event stream is used, not its serde half: untyped decoding follows YAML 1.1 (`no` becomes false, `007` becomes
//! 7) and would lose what the user wrote. Repeated keys, anchors, tags and several documents in one file are errors:
//! each can silently change what a pipeline means.

use std::collections::BTreeMap;
use std::iter::Peekable;

use serde_yaml::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, StrInput};

use super::value::{Data, Key, Scalar, Span, Tree};
use crate::diagnostic::Diagnostic;

/// Deeper nesting than any pipeline has; bounds the recursion.
const MAX_DEPTH: usize = 64;

type Events<'t> = Peekable<Parser<'t, StrInput<'t>>>;

/// Reads one YAML document. Findings that leave the structure readable are added to `out`.
///
/// Returns `None` when the text is not YAML, with the reason in `out`.
pub(crate) fn parse(text: &str, out: &mut Vec<Diagnostic>) -> Option<Tree> {
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut composer = Composer {
        text,
        events: Parser::new_from_str_with_options(text, options).peekable(),
        out,
        at: 0..0,
        broken: false,
    };
    match composer.document() {
        Ok(tree) if !composer.broken => tree,
        Ok(_) => None,
        Err(error) => {
            out.push(syntax_error(text, &error));
            None
        }
    }
}

fn syntax_error(text: &str, error: &ScanError) -> Diagnostic {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let width = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let found = error.info();
    let line = text.get(..start).map_or("", |before| before.rsplit('\n').next().unwrap_or(""));
    let around = line.len() + text.get(start..).map_or(0, |rest| rest.find('\n').unwrap_or(rest.len()));
    let whole = text.get(start - line.len()..start - line.len() + around).unwrap_or("");
    let help = if whole.contains("${") {
        "inside braces or brackets `${name}` needs quotes: \"${name}\""
    } else if line.contains('\t') || text.get(start..).is_some_and(|rest| rest.starts_with('\t')) {
        "YAML is indented with spaces, not with tabs"
    } else {
        "check the indentation, and that every quote and bracket opened here or above is closed"
    };
    Diagnostic::error("celldag::pipeline::yaml", format!("this is not valid YAML: {found}"))
        .at(start..start + width, "here")
        .help(help)
}

struct Composer<'t, 'o> {
    text: &'t str,
    events: Events<'t>,
    out: &'o mut Vec<Diagnostic>,
    at: Span,
    /// A value is not known (an alias): what follows from it would be noise.
    broken: bool,
}

impl<'t> Composer<'t, '_> {
    fn next(&mut self) -> Result<Option<Event<'t>>, ScanError> {
        let Some(next) = self.events.next() else { return Ok(None) };
        let (event, span) = next?;
        self.at = span.byte_range().unwrap_or(self.at.end..self.at.end);
        if let Some(tag) = span.tag_span().and_then(|tag| tag.byte_range()) {
            self.out.push(
                Diagnostic::error("celldag::pipeline::yaml_tag", "YAML tags have no meaning in a pipeline")
                    .at(tag, "tag")
                    .help("remove it: the parameter decides the type of a value"),
            );
        }
        if event.anchor_id().is_some_and(|id| id > 0) {
            let end = self.at.start;
            let start = self.text.get(..end).and_then(|before| before.rfind('&')).unwrap_or(end);
            let span = trim_end(self.text, start..end.max(start));
            self.refuse_anchor(span);
        }
        Ok(Some(event))
    }

    fn refuse_anchor(&mut self, span: Span) {
        self.out.push(
            Diagnostic::error("celldag::pipeline::yaml_anchor", "YAML anchors and aliases are not supported")
                .at(span, "anchor")
                .help("put the value into `params:` and write ${name} where it is needed"),
        );
    }

    fn document(&mut self) -> Result<Option<Tree>, ScanError> {
        let mut root = None;
        while let Some(event) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(..) => {
                    if root.is_some() {
                        self.out.push(
                            Diagnostic::error(
                                "celldag::pipeline::several_documents",
                                "a pipeline file holds one YAML document",
                            )
                            .at(self.at.clone(), "second document")
                            .help("remove the `---` or put the second pipeline into a file of its own"),
                        );
                        break;
                    }
                }
                event => {
                    if let Some(tree) = self.value(event)? {
                        root.get_or_insert(tree);
                    }
                }
            }
        }
        Ok(root)
    }

    fn value(&mut self, event: Event<'t>) -> Result<Option<Tree>, ScanError> {
        let span = self.at.clone();
        match event {
            Event::Scalar(text, style, ..) => {
                let quoted = style != ScalarStyle::Plain;
                // The parser calls an absent value `~`; nobody wrote that.
                let text = if span.is_empty() && !quoted { String::new() } else { text.into_owned() };
                let data = Data::Scalar(Scalar { text, quoted });
                Ok(Some(Tree { span: trim_end(self.text, span), data }))
            }
            Event::SequenceStart(..) => self.list(span.start).map(Some),
            Event::MappingStart(..) => self.map(span.start).map(Some),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse_anchor(span.clone());
                self.broken = true;
                Ok(Some(Tree::plain("", span)))
            }
            _ => Ok(None),
        }
    }

    fn list(&mut self, start: usize) -> Result<Tree, ScanError> {
        let mut items: Vec<Tree> = Vec::new();
        while let Some(event) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            if let Some(item) = self.value(event)? {
                items.push(item);
            }
        }
        let last = items.last().map_or(start, |item| item.span.end);
        Ok(Tree { span: start..self.collection_end(start, last), data: Data::List(items) })
    }

    fn map(&mut self, start: usize) -> Result<Tree, ScanError> {
        let mut entries: Vec<(Key, Tree)> = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        let mut last = start;
        while let Some(event) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let key = self.value(event)?;
            let Some(event) = self.next()? else { break };
            let value = self.value(event)?;
            let (Some(key), Some(value)) = (key, value) else { continue };
            last = last.max(value.span.end);
            let Some(name) = key.scalar().map(|s| s.text.clone()) else {
                self.out.push(
                    Diagnostic::error("celldag::pipeline::yaml_key", "a key must be a word or a text")
                        .at(key.span, "key")
                        .help("in braces a value with ${} needs quotes: {fold: \"${fold}\"}"),
                );
                continue;
            };
            if name == "<<" {
                self.refuse_anchor(key.span);
                continue;
            }
            if let Some(first) = seen.get(&name) {
                self.out.push(
                    Diagnostic::error("celldag::pipeline::duplicate_key", format!("`{name}` is given twice"))
                        .at(key.span, "again here")
                        .and(first.clone(), "first here")
                        .help("remove or rename one of the two"),
                );
                continue;
            }
            seen.insert(name.clone(), key.span.clone());
            entries.push((Key { name, span: key.span }, value));
        }
        Ok(Tree { span: start..self.collection_end(start, last), data: Data::Map(entries) })
    }

    /// A flow collection ends at its bracket; a block collection with its last value, not with the blank lines below.
    fn collection_end(&self, start: usize, last: usize) -> usize {
        match self.text.as_bytes().get(start) {
            Some(b'[' | b'{') => self.at.end.max(last),
            _ => last,
        }
    }
}

/// Block scalars span the line break that ends them, which no excerpt should.
fn trim_end(text: &str, span: Span) -> Span {
    let length = text.get(span.clone()).map_or(0, |inside| inside.trim_end().len());
    span.start..span.start + length
}

#[cfg(test)]
mod tests;
