//! All runs of a store, newest first.

use celldag_engine::plan::duration;
use celldag_engine::{RunHeader, RunStatus};

use super::{by, place, status, time};
use crate::escape::escape;
use crate::page::{Cell, Page, link};

/// More runs than this are counted.
const MOST_RUNS: usize = 1000;

/// The list of runs; `store` says whose runs they are. `runs` come newest first.
#[must_use]
pub fn list_page(store: &str, runs: &[RunHeader]) -> String {
    let mut page = Page::served("celldag runs", &[("/api/runs.json".to_owned(), "JSON")], "");
    page.paragraph(&format!("Store {store}"));
    if runs.is_empty() {
        page.paragraph("No runs yet: `celldag run PIPELINE` makes one, and `celldag runs import PIPELINE` records what steps of Snakemake or Nextflow computed.");
        return page.finish();
    }
    // Unless somebody marks others: the newest run that has ended, beside the one of its pipeline before it.
    let ended = |run: &RunHeader| !matches!(run.status, RunStatus::Running | RunStatus::Killed);
    let later = runs.iter().position(ended);
    let earlier = later.and_then(|later| {
        let before = |run: &RunHeader| ended(run) && run.pipeline == runs[later].pipeline;
        Some(later + 1 + runs[later + 1..].iter().position(before)?)
    });
    let columns = ["earlier", "later", "run", "pipeline", "started", "took", "status", "by", "jobs"];
    let shown = runs.iter().take(MOST_RUNS).enumerate();
    let rows: Vec<Vec<Cell>> = shown.map(|(i, run)| row(run, Some(i) == earlier, Some(i) == later)).collect();
    let note = match runs.len() {
        n if n > MOST_RUNS => format!("The newest {MOST_RUNS} of {n} runs; the JSON has all."),
        _ => String::new(),
    };
    page.html("<form action=\"/diff\" method=\"get\">");
    page.cells("", &columns.map(str::to_owned), &rows, &note);
    if runs.len() > 1 {
        page.html("<button type=\"submit\">Compare the two that are marked</button>");
    }
    page.html("</form>");
    page.finish()
}

fn row(run: &RunHeader, earlier: bool, later: bool) -> Vec<Cell> {
    let pick = |name: &str, marked: bool| {
        let checked = if marked { " checked" } else { "" };
        let title = format!("{name} run of the comparison");
        (
            "pick",
            format!(
                "<input type=\"radio\" name=\"{name}\" value=\"{}\" title=\"{title}\" required{checked}>",
                escape(&run.id)
            ),
        )
    };
    let text = |text: &str| ("", escape(text));
    let class = match run.status {
        RunStatus::Failed | RunStatus::Killed => "failed",
        RunStatus::Running => "running",
        RunStatus::Ok | RunStatus::Cancelled => "",
    };
    let took = if run.status == RunStatus::Running { "–".to_owned() } else { duration(run.seconds) };
    vec![
        pick("earlier", earlier),
        pick("later", later),
        ("", link(&place(&run.id), &run.id)),
        text(&run.pipeline),
        text(&time(&run.started)),
        text(&took),
        (class, status(run.status).to_owned()),
        text(by(run)),
        text(&jobs(run)),
    ]
}

/// `12 computed, 1 failed`, without what there is none of.
fn jobs(run: &RunHeader) -> String {
    if run.status == RunStatus::Running {
        // A header is written at the start and at the end: meanwhile the page of the run counts.
        return "–".to_owned();
    }
    let counts = run.counts;
    let words = [
        (counts.ran, "computed"),
        (counts.cached, "cached"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
    ];
    let parts = words.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}
