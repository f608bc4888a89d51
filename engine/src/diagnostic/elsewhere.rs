//! A place in another text than the one that a finding is about.

use std::fmt;
use std::sync::Arc;

use super::{Label, SourceText};

/// Where an included file was included, or where a value comes from that it got.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The text.
    pub source: Arc<SourceText>,
    /// The place in it.
    pub label: Label,
}

impl Elsewhere {
    /// `p.yaml:3:5: included here`
    #[must_use]
    pub fn one_line(&self) -> String {
        let (line, column) = self.source.position(self.label.span.start);
        format!("{}:{line}:{column}: {}", self.source.name, self.label.text)
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label.text)
    }
}

impl std::error::Error for Elsewhere {}

impl miette::Diagnostic for Elsewhere {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let span = (self.label.span.start, self.label.span.len());
        Some(Box::new(std::iter::once(miette::LabeledSpan::new_primary_with_span(None, span))))
    }
}
