//! Pages of the local server: the list of runs, a run, two runs side by side, a run that goes on.
//!
//! They look like the report and are made of the same parts. All work without a script but the page of a run that goes on,
//! which then loads itself anew every few seconds instead of asking for what changed. Addresses are those that
//! `celldag serve` answers to.

mod compare;
mod list;
mod live;
mod recorded;
#[cfg(test)]
mod tests;

pub use compare::compare_page;
pub use list::list_page;
pub use live::{FailedJob, Live, LiveState, NodeCounts, RunningJob, live_page};
pub use recorded::{LARGEST_FILE, Recorded, recorded_page};

use celldag_engine::{RunHeader, RunStatus};

use crate::page::Page;

/// The script of [`live_page`], at `/live.js`.
pub const LIVE_SCRIPT: &str = include_str!("../assets/live.js");

/// A page that says why there is nothing else.
#[must_use]
pub fn message_page(title: &str, message: &str, help: &str) -> String {
    let mut page = Page::served(title, &[to_list()], "");
    page.paragraph(message);
    page.paragraph(help);
    page.finish()
}

fn to_list() -> (String, &'static str) {
    ("/".to_owned(), "All runs")
}

/// Where a run is.
fn place(id: &str) -> String {
    format!("/runs/{id}")
}

/// Who ran the jobs of a run.
fn by(run: &RunHeader) -> &str {
    match &run.imported {
        None => "celldag",
        Some(imported) => imported.by.as_deref().unwrap_or("a workflow manager"),
    }
}

/// `2026-11-22 04:17:58 UTC` of an RFC 3339 time.
fn time(rfc: &str) -> String {
    match (rfc.get(..10), rfc.get(11..19), rfc.ends_with('Z')) {
        (Some(day), Some(clock), true) => format!("{day} {clock} UTC"),
        _ => rfc.to_owned(),
    }
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Ok => "ok",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
        RunStatus::Killed => "killed",
    }
}
