//! The texts of a pipeline, laid end to end: its file and the files that it includes. One number is a place in one of
//! them, so that everything between reading and reporting can go on with plain ranges.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::{Diagnostic, Diagnostics, Elsewhere, Label, SECRET, SourceText};

/// The texts in the order in which they were found; the first is the pipeline itself.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    texts: Vec<Text>,
}

#[derive(Debug)]
struct Text {
    start: usize,
    source: Arc<SourceText>,
    /// Where it was included.
    included: Option<Range<usize>>,
}

impl Sources {
    /// Adds a text. Returns where its first byte lies.
    pub(crate) fn add(&mut self, source: SourceText, included: Option<Range<usize>>) -> usize {
        // One byte between two texts: the end of one is not the beginning of the next.
        let start = self.texts.last().map_or(0, |last| last.start + last.source.text.len() + 1);
        self.texts.push(Text { start, source: Arc::new(source), included });
        start
    }

    /// Which text a place lies in.
    pub(crate) fn index(&self, offset: usize) -> usize {
        self.texts.partition_point(|text| text.start <= offset).saturating_sub(1)
    }

    /// Gives findings the texts that they are about, sorts them by place and drops exact repetitions. Those without a place
    /// belong to the pipeline itself.
    pub(crate) fn resolve(mut self, mut items: Vec<Diagnostic>) -> Diagnostics {
        self.hide_secrets(&items);
        items.sort_by_key(|item| item.label.as_ref().map_or(0, |label| label.span.start));
        for item in items.iter_mut().filter(|item| item.source.is_none()) {
            self.place(item);
        }
        // A file that is included twice is wrong twice.
        let mut seen = BTreeSet::new();
        items.retain(|item| {
            let place =
                item.label.as_ref().map(|label| (label.span.start, label.span.end, label.text.clone()));
            let file = item.source.as_ref().map(|source| source.name.clone());
            seen.insert((item.code, item.message.clone(), place, file))
        });
        Diagnostics { items }
    }

    fn place(&self, item: &mut Diagnostic) {
        let index = item.label.as_ref().map_or(0, |label| self.index(label.span.start));
        let Some(home) = self.texts.get(index) else { return };
        item.source = Some(home.source.clone());
        if let Some(label) = &mut item.label {
            label.span = moved(&label.span, home.start);
        }
        for label in std::mem::take(&mut item.related) {
            match self.elsewhere(&label, index) {
                Some(other) => item.elsewhere.push(other),
                None => item.related.push(Label { span: moved(&label.span, home.start), ..label }),
            }
        }
        let mut included = home.included.clone();
        while let Some(span) = included {
            let at = self.index(span.start);
            let label = Label { span, text: "included here".to_owned() };
            item.elsewhere.extend(self.elsewhere(&label, usize::MAX));
            included = self.texts.get(at).and_then(|text| text.included.clone());
        }
    }

    /// The place, if it lies in another text than `home`.
    fn elsewhere(&self, label: &Label, home: usize) -> Option<Elsewhere> {
        let index = self.index(label.span.start);
        let text = self.texts.get(index).filter(|_| index != home)?;
        let label = Label { span: moved(&label.span, text.start), text: label.text.clone() };
        Some(Elsewhere { source: text.source.clone(), label })
    }

    /// Excerpts show whole lines, of this finding and of any other: the texts themselves lose what must not be shown.
    fn hide_secrets(&mut self, items: &[Diagnostic]) {
        let secrets = items.iter().filter(|item| item.code == SECRET).filter_map(|item| item.label.as_ref());
        for label in secrets {
            let index = self.index(label.span.start);
            if let Some(text) = self.texts.get_mut(index) {
                text.source = Arc::new(text.source.masked(&moved(&label.span, text.start)));
            }
        }
    }
}

fn moved(span: &Range<usize>, start: usize) -> Range<usize> {
    span.start.saturating_sub(start)..span.end.saturating_sub(start)
}
