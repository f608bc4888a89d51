//! A run that has ended: its report, with the files that it wrote and ways to other pages above it.

use celldag_engine::document::ReportDocument;
use celldag_engine::size::bytes;
use celldag_engine::{OutputRecord, RunRecord};

use super::{place, to_list};
use crate::escape::escape;
use crate::page::{Cell, Page, link};

/// Larger results are not sent, in bytes: they are on this machine, and the page says where.
pub const LARGEST_FILE: u64 = 16 << 20;

/// More output files than this are counted.
const MOST_FILES: usize = 200;

/// Everything about a run that the page tells.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The run.
    pub run: &'a RunRecord,
    /// Its report documents, with the ids of their jobs.
    pub documents: &'a [(String, ReportDocument)],
    /// Documents that could not be read, with the reason.
    pub unread: &'a [String],
    /// The run of the same pipeline before it.
    pub previous: Option<&'a str>,
}

/// The page of a run. Below its links it is what `celldag report` writes.
#[must_use]
pub fn recorded_page(recorded: &Recorded<'_>) -> String {
    let Recorded { run, documents, unread, previous } = recorded;
    let here = place(run.id());
    let mut links = vec![to_list()];
    if let Some(previous) = previous {
        links
            .push((format!("/diff?earlier={previous}&later={}", run.id()), "Compare with the run before it"));
    }
    links.push((format!("{here}/report.html"), "Report as one file"));
    links.push((format!("/api{here}.json"), "JSON"));
    links.push((format!("/api{here}/events.jsonl"), "Events"));
    let mut page = Page::served(&crate::title(run), &links, "");
    page.warnings(unread.iter().map(String::as_str));
    files(&mut page, run);
    crate::content(&mut page, run, documents, Some(&format!("/api{here}.json")));
    page.finish()
}

fn files(page: &mut Page, run: &RunRecord) {
    let outputs = &run.outputs;
    if outputs.is_empty() {
        return;
    }
    let open = if outputs.len() <= 12 { " open" } else { "" };
    page.html(&format!("<details{open}><summary>Output files: {}</summary>", outputs.len()));
    let rows: Vec<Vec<Cell>> =
        outputs.iter().take(MOST_FILES).enumerate().map(|(i, output)| row(run, i, output)).collect();
    let mut note =
        "A link leads to the content that this run made, also when the file has changed since.".to_owned();
    if outputs.len() > MOST_FILES {
        note.push_str(&format!(" {} files more are in the JSON.", outputs.len() - MOST_FILES));
    }
    page.cells("", &["file", "job", "port", "size", ""].map(str::to_owned), &rows, &note);
    page.html("</details>");
}

fn row(run: &RunRecord, i: usize, output: &OutputRecord) -> Vec<Cell> {
    let path = output.path.display().to_string();
    let (name, remark) = match &output.artifact {
        artifact if artifact.tree => (escape(&path), "a folder"),
        artifact if artifact.size > LARGEST_FILE => (escape(&path), "too large for this page: open the file"),
        _ => (link(&format!("{}/outputs/{i}", place(run.id())), &path), ""),
    };
    vec![
        ("", name),
        ("", escape(&output.job)),
        ("", escape(&output.port)),
        ("number", bytes(output.artifact.size)),
        ("", remark.to_owned()),
    ]
}
