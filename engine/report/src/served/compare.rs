//! Two runs side by side, as `celldag runs diff` tells them.

use std::collections::BTreeSet;

use celldag_engine::plan::duration;
use celldag_engine::record::{InputFrom, InputRecord, JobDiff, ResultsDiff, RunDiff, changed_source};
use celldag_engine::{Change, JobOutcome, RunRecord, short};
use serde_json::{Value, json};

use super::{by, place, status, time, to_list};
use crate::escape::{cell, escape};
use crate::page::{Cell, Page, link};
use crate::run::outcome;

/// More changed numbers than this are counted.
const MOST_NUMBERS: usize = 100;

/// More changed jobs than this are counted.
const MOST_JOBS: usize = 300;

/// The page of a comparison.
#[must_use]
pub fn compare_page(earlier: &RunRecord, later: &RunRecord, diff: &RunDiff, results: &ResultsDiff) -> String {
    let title = if earlier.header.pipeline == later.header.pipeline {
        format!("Two runs of {}", later.header.pipeline)
    } else {
        format!("{} and {}", earlier.header.pipeline, later.header.pipeline)
    };
    let back = (format!("/diff?earlier={}&later={}", later.id(), earlier.id()), "The other way round");
    let mut page = Page::served(&title, &[to_list(), back], "");
    let without = [earlier, later].into_iter().filter(|run| run.jobs.is_empty());
    let without: Vec<String> = without
        .map(|run| {
            format!(
                "Run {} ({}) has no jobs on record: there is nothing of it to compare.",
                run.id(),
                status(run.header.status)
            )
        })
        .collect();
    page.warnings(without.iter().map(String::as_str));
    runs(&mut page, earlier, later, results);
    numbers(&mut page, earlier, later, results);
    jobs(&mut page, later, diff);
    files(&mut page, results);
    page.finish()
}

fn runs(page: &mut Page, a: &RunRecord, b: &RunRecord, results: &ResultsDiff) {
    page.section("Runs");
    let digest = |digest: Option<&str>| digest.map_or("–", short).to_owned();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut row = |name: &str, a: String, b: String| {
        rows.push(vec![("", escape(name)), ("", escape(&a)), ("", escape(&b))]);
    };
    let (x, y) = (&a.header, &b.header);
    row("pipeline", x.pipeline.clone(), y.pipeline.clone());
    row("started", time(&x.started), time(&y.started));
    row("took", duration(x.seconds), duration(y.seconds));
    row("status", status(x.status).to_owned(), status(y.status).to_owned());
    row("by", by(x).to_owned(), by(y).to_owned());
    row("computed", x.counts.ran.to_string(), y.counts.ran.to_string());
    row("cached", x.counts.cached.to_string(), y.counts.cached.to_string());
    row("celldag", x.version.clone(), y.version.clone());
    row("pipeline file, BLAKE3", digest(x.text_digest.as_deref()), digest(y.text_digest.as_deref()));
    for file in &results.included {
        let (before, after) = (digest(file.before.as_deref()), digest(file.after.as_deref()));
        row(&format!("included {}", file.path), before, after);
    }
    let links = [a, b].map(|run| link(&place(run.id()), run.id()));
    rows.insert(0, vec![("", "run".to_owned()), ("", links[0].clone()), ("", links[1].clone())]);
    page.cells("", &["", "earlier", "later"].map(str::to_owned), &rows, "");
}

fn numbers(page: &mut Page, earlier: &RunRecord, later: &RunRecord, results: &ResultsDiff) {
    page.section("Results");
    let gone = |output: &String| format!("{output}: its bytes are not here, numbers cannot be compared");
    let gone: Vec<String> = results.unread.iter().map(gone).collect();
    page.warnings(gone.iter().map(String::as_str));
    if results.metrics.is_empty() {
        page.paragraph(if !share_results(earlier, later) {
            "No job has a result in both runs: no numbers were compared."
        } else if results.unread.is_empty() {
            "No number of a report differs."
        } else {
            "No number of any other report differs."
        });
        return;
    }
    let rows: Vec<Vec<Value>> = results
        .metrics
        .iter()
        .take(MOST_NUMBERS)
        .map(|change| {
            let by = match (change.before, change.after) {
                (Some(before), Some(after)) => format!("{:+.4}", after - before),
                (None, _) => "was undefined".to_owned(),
                (_, None) => "is undefined".to_owned(),
            };
            vec![json!(change.job), json!(change.path), json!(change.before), json!(change.after), json!(by)]
        })
        .collect();
    let more = results.metrics.len().saturating_sub(MOST_NUMBERS);
    let note = if more == 0 {
        String::new()
    } else {
        format!("And {more} numbers more; `celldag runs diff --json` has all.")
    };
    page.table("", &["job", "number", "earlier", "later", "change"].map(str::to_owned), &rows, &note);
}

/// Whether a job has a result in both runs.
fn share_results(earlier: &RunRecord, later: &RunRecord) -> bool {
    let done = |run: &RunRecord| {
        let done = run.jobs.iter().filter(|job| matches!(job.outcome, JobOutcome::Hit | JobOutcome::Ran));
        done.map(|job| job.id.clone()).collect::<BTreeSet<String>>()
    };
    !done(earlier).is_disjoint(&done(later))
}

fn jobs(page: &mut Page, later: &RunRecord, diff: &RunDiff) {
    page.section("Jobs");
    page.paragraph(&format!("{} jobs differ, {} agree.", diff.jobs.len(), diff.same));
    if diff.jobs.is_empty() {
        return;
    }
    let sources = |job: &str| later.job(job).map(|job| job.inputs.as_slice()).unwrap_or_default();
    let rows: Vec<Vec<Cell>> = diff
        .jobs
        .iter()
        .take(MOST_JOBS)
        .map(|job| match job {
            JobDiff::Added { job } => vec![("", escape(job)), ("change", "only in the later run".to_owned())],
            JobDiff::Removed { job } => {
                vec![("", escape(job)), ("change", "only in the earlier run".to_owned())]
            }
            JobDiff::Changed { job, outcomes, changes, outputs, facts } => {
                let mut lines: Vec<String> = Vec::new();
                if let Some((before, after)) = outcomes {
                    lines.push(format!("ended {} then {}", outcome(*before), outcome(*after)));
                }
                lines.extend(changes.iter().map(|change| escape(&told(change, sources(job)))));
                for (name, (before, after)) in facts {
                    let shown = |value: &Option<Value>| cell(value.as_ref().unwrap_or(&Value::Null));
                    lines.push(format!("{}: {} → {}", escape(name), shown(before), shown(after)));
                }
                if !outputs.is_empty() {
                    lines.push(format!("other content on: {}", escape(&outputs.join(", "))));
                }
                vec![("", escape(job)), ("change", lines.join("<br>"))]
            }
        })
        .collect();
    let more = diff.jobs.len().saturating_sub(MOST_JOBS);
    let note = if more == 0 {
        String::new()
    } else {
        format!("And {more} jobs more; `celldag runs diff --json` has all.")
    };
    page.cells("", &["job", "what differs"].map(str::to_owned), &rows, &note);
}

/// A change, and where an input that changed comes from.
fn told(change: &Change, sources: &[InputRecord]) -> String {
    match changed_source(change, sources) {
        Some(InputFrom::File(path)) => format!("{change}: {}", path.display()),
        Some(InputFrom::Job { id, port }) => format!("{change}: {id}.{port}"),
        None => change.to_string(),
    }
}

fn files(page: &mut Page, results: &ResultsDiff) {
    if results.files.is_empty() {
        return;
    }
    page.section("Output files");
    let rows: Vec<Vec<Value>> = results
        .files
        .iter()
        .map(|(path, (before, after))| {
            let what = match (before, after) {
                (Some(_), Some(_)) => "has other content",
                (None, _) => "is new",
                (_, None) => "is not written any more",
            };
            vec![json!(path), json!(what)]
        })
        .collect();
    page.table("", &["file", ""].map(str::to_owned), &rows, "");
}
