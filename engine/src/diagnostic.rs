//! What is wrong with a pipeline file, and where: messages with stable codes, positions, excerpts and hints.
//!
//! A check never stops at its first finding: it adds [`Diagnostic`]s to a list, and [`Diagnostics`] carries all of them
//! to the user. Each knows its source, so it can be drawn with an excerpt (through [`miette`]), as one line, or as JSON.

mod elsewhere;
pub(crate) mod sources;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

pub use elsewhere::Elsewhere;

/// Code of the finding about a secret that stands in a file: what it points at is shown nowhere.
pub(crate) const SECRET: &str = "celldag::pipeline::secret_value";

/// The text that positions refer to.
#[derive(Debug)]
pub struct SourceText {
    /// What the user calls it: the path as given, or `--with`.
    pub name: String,
    /// The whole text.
    pub text: String,
    lines: Vec<usize>,
}

impl SourceText {
    /// Keeps a text and where its lines start.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, lines }
    }

    /// The same text with a part of it made unreadable; places stay.
    pub(crate) fn masked(&self, span: &Range<usize>) -> Self {
        let mask = |(at, c): (usize, char)| match span.contains(&at) && c != '\n' {
            true => "*".repeat(c.len_utf8()),
            false => c.to_string(),
        };
        Self::new(self.name.clone(), self.text.char_indices().map(mask).collect::<String>())
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line, self.text[start..offset].chars().count() + 1)
    }
}

impl miette::SourceCode for SourceText {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column(),
            inner.line_count(),
        )))
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The pipeline does not run.
    Error,
    /// The pipeline runs, but probably not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in the source with what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Byte range in the source.
    pub span: Range<usize>,
    /// A few words, shown at the place.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Stable name, `celldag::pipeline::unknown_kind`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, one sentence, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where it is; absent for what has no place in a text.
    pub label: Option<Label>,
    /// Other places that matter: where a name was first used, where a port gets its type.
    pub related: Vec<Label>,
    /// The text that the places refer to.
    pub source: Option<Arc<SourceText>>,
    /// Places in other texts: where an included file was included.
    pub elsewhere: Vec<Elsewhere>,
}

impl Diagnostic {
    /// An error without a place.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            help: None,
            label: None,
            related: Vec::new(),
            source: None,
            elsewhere: Vec::new(),
        }
    }

    /// A warning without a place.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, if anything is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.label = Some(Label { span, text: text.into() });
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn and(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// Line and column from 1, if the place is known.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        let label = self.label.as_ref()?;
        Some(self.source.as_ref()?.position(label.span.start))
    }

    /// `file:line:column: message (hint)`, for logs and for people who grep.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut out = String::new();
        if let Some(source) = &self.source {
            out.push_str(&source.name);
            if let Some((line, column)) = self.position() {
                out.push_str(&format!(":{line}:{column}"));
            }
            out.push_str(": ");
        }
        if self.severity == Severity::Warning {
            out.push_str("warning: ");
        }
        out.push_str(&self.message.replace('\n', " "));
        if let Some(help) = &self.help {
            out.push_str(&format!(" ({})", help.replace('\n', " ")));
        }
        for other in &self.elsewhere {
            out.push_str(&format!("; {}", other.one_line()));
        }
        out
    }

    /// The finding for machines: code, severity, message, help, file, line, column, byte range and related places.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let place = |label: &Label, source: Option<&Arc<SourceText>>| {
            let position = source.map(|source| source.position(label.span.start));
            json!({
                "file": source.map(|source| source.name.clone()),
                "line": position.map(|p| p.0),
                "column": position.map(|p| p.1),
                "offset": label.span.start,
                "length": label.span.len(),
                "text": label.text,
            })
        };
        let own = self.source.as_ref();
        let related = self.related.iter().map(|label| place(label, own));
        let related =
            related.chain(self.elsewhere.iter().map(|other| place(&other.label, Some(&other.source))));
        json!({
            "code": self.code,
            "severity": self.severity.to_string(),
            "message": self.message,
            "help": self.help,
            "file": self.source.as_ref().map(|source| source.name.clone()),
            "place": self.label.as_ref().map(|label| place(label, own)),
            "related": related.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_deref().map(|source| source as &dyn miette::SourceCode)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        if self.elsewhere.is_empty() {
            return None;
        }
        Some(Box::new(self.elsewhere.iter().map(|other| other as &dyn miette::Diagnostic)))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let first = self.label.as_ref()?;
        let span = |label: &Label| (label.span.start, label.span.len());
        let first = miette::LabeledSpan::new_primary_with_span(Some(first.text.clone()), span(first));
        let rest = self
            .related
            .iter()
            .map(move |label| miette::LabeledSpan::new_with_span(Some(label.text.clone()), span(label)));
        Some(Box::new(std::iter::once(first).chain(rest)))
    }
}

/// All findings of one check, in the order of the text.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// The findings.
    pub items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Whether a finding forbids to run.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity == Severity::Error)
    }

    /// Whether all errors are about input files that are not there: missing data (exit 3) rather than a bad pipeline.
    #[must_use]
    pub fn only_missing_files(&self) -> bool {
        let mut errors = self.items.iter().filter(|item| item.severity == Severity::Error).peekable();
        errors.peek().is_some() && errors.all(|item| item.code == "celldag::pipeline::missing_file")
    }

    /// One line a finding.
    #[must_use]
    pub fn one_line_each(&self) -> String {
        self.items.iter().map(|item| item.one_line() + "\n").collect()
    }

    /// The findings for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Array(self.items.iter().map(Diagnostic::to_json).collect())
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(item: Diagnostic) -> Self {
        Self { items: vec![item] }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted| self.items.iter().filter(|item| item.severity == wanted).count();
        let word = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        match (count(Severity::Error), count(Severity::Warning)) {
            (0, warnings) => f.write_str(&word(warnings, "warning")),
            (errors, 0) => f.write_str(&word(errors, "error")),
            (errors, warnings) => write!(f, "{} and {}", word(errors, "error"), word(warnings, "warning")),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl miette::Diagnostic for Diagnostics {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.items.iter().map(|item| item as &dyn miette::Diagnostic)))
    }
}
