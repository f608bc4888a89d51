//! One self-contained HTML file from a report document or a run record.
//!
//! ```text
//! ReportDocument ──document──▶ ┐
//! lineage of a node ──lineage─▶ ├─ page ──▶ .html (no scripts, no requests, light and dark)
//! RunRecord ─────────run──────▶ ┘
//! ```
//!
//! [`served`] makes the pages of the local server out of the same parts.
//!
//! The crate knows no model and no biology: everything domain-specific arrives as tables, figures and sentences.

mod charts;
mod document;
mod escape;
mod kind;
mod lineage;
mod many;
mod nodes;
mod page;
mod run;
pub mod served;
#[cfg(test)]
mod tests;

pub use kind::ReportKind;
pub use many::MOST_DOCUMENTS;
use page::Page;

use celldag_engine::document::ReportDocument;
use celldag_engine::{Registry, RunRecord};

/// Puts the `report` kind into a registry.
pub fn register(registry: &mut Registry) {
    registry.add(ReportKind);
}

/// A page that shows the given documents, each under its label.
#[must_use]
pub fn documents_page(
    title: &str,
    documents: &[(String, ReportDocument)],
    lineage: &serde_json::Value,
) -> String {
    let mut page = Page::new(title);
    let several = documents.len() > 1;
    lineage::warnings(&mut page, lineage, &warnings_of(documents));
    for (label, document) in documents {
        document::render(&mut page, several.then_some(label.as_str()), document);
    }
    lineage::render(&mut page, lineage);
    page.finish()
}

/// A page about a recorded run: the given report documents first, then what ran, why, and where it came from. Documents come
/// with the ids of their jobs; of more than [`MOST_DOCUMENTS`] only the headlines are read.
#[must_use]
pub fn run_page(run: &RunRecord, documents: &[(String, ReportDocument)]) -> String {
    let mut page = Page::new(&title(run));
    content(&mut page, run, documents, None);
    page.finish()
}

fn title(run: &RunRecord) -> String {
    format!("celldag run: {}", run.header.pipeline)
}

fn content(page: &mut Page, run: &RunRecord, documents: &[(String, ReportDocument)], all_jobs: Option<&str>) {
    if documents.len() > MOST_DOCUMENTS {
        many::documents(page, run, documents);
        run::render(page, run, &[], all_jobs);
        return;
    }
    for (label, document) in documents {
        document::render(page, (documents.len() > 1).then_some(label.as_str()), document);
    }
    run::render(page, run, &warnings_of(documents), all_jobs);
}

/// Whether the page of a run tells its jobs node by node, so that a file with all of them belongs beside it.
#[must_use]
pub fn is_collapsed(run: &RunRecord) -> bool {
    run.jobs.len() > run::MOST_JOBS
}

fn warnings_of(documents: &[(String, ReportDocument)]) -> Vec<&str> {
    documents.iter().flat_map(|(_, document)| &document.warnings).map(String::as_str).collect()
}
