//! A run that goes on, or that was killed: what its events tell.

use celldag_engine::events::RunEvent;
use celldag_engine::plan::duration;
use celldag_engine::record::LoggedEvent;
use celldag_engine::tally::{Stage, Tally};
use celldag_engine::{RunHeader, RunStatus};
use serde::Serialize;

use super::{place, status, time, to_list};
use crate::escape::escape;
use crate::page::{Cell, Page};

/// More failures and running jobs than this are counted.
const MOST_TOLD: usize = 20;

/// Seconds between two looks: of the script, and of the page without it.
const SECONDS: (u32, u32) = (2, 5);

/// Where a run stands, counted from its events one after the other.
#[derive(Clone, Debug, Default)]
pub struct Live {
    tally: Tally,
    /// Nodes in topological order.
    nodes: Vec<String>,
    running: Vec<RunningJob>,
    failures: Vec<FailedJob>,
    latest: Option<String>,
}

/// A job at work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunningJob {
    /// Its id.
    pub job: String,
    /// UTC, RFC 3339.
    pub since: String,
    /// Seconds that it took in earlier runs.
    pub expected_seconds: Option<f64>,
    /// The same in words; empty when it is not known.
    pub expected: String,
    /// `120/700 cells`, or what it waits for.
    pub progress: String,
}

/// A job that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedJob {
    /// Its id.
    pub job: String,
    /// What, where, why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// How many jobs of a node stand where.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeCounts {
    /// The node.
    pub node: String,
    /// All of its jobs.
    pub jobs: usize,
    /// Neither started nor ended.
    pub queued: usize,
    /// At work.
    pub running: usize,
    /// Taken from the store.
    pub cached: usize,
    /// Computed.
    pub computed: usize,
    /// Failed.
    pub failed: usize,
    /// Not started.
    pub skipped: usize,
}

/// What the page shows and its script asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveState {
    /// Id of the run.
    pub run: String,
    /// How it stands, as in its record.
    pub status: RunStatus,
    /// `120/400 jobs, 3 running, 1 failed, about 12 min left`.
    pub told: String,
    /// Time of the latest event: UTC, RFC 3339.
    pub latest: Option<String>,
    /// In topological order.
    pub nodes: Vec<NodeCounts>,
    /// The first of the jobs at work.
    pub running: Vec<RunningJob>,
    /// The first of the failures.
    pub failures: Vec<FailedJob>,
    /// All failures.
    pub failed: usize,
}

impl Live {
    /// Counts an event.
    pub fn count(&mut self, logged: &LoggedEvent) {
        self.latest = Some(logged.time.clone());
        self.tally.count(&logged.event);
        match &logged.event {
            RunEvent::RunStarted { nodes, .. } => {
                self.nodes = nodes.iter().map(|(node, _)| node.clone()).collect();
            }
            RunEvent::Started { job, expected_seconds, .. } => {
                let (job, since) = (job.clone(), logged.time.clone());
                self.running.retain(|known| known.job != job);
                let (expected_seconds, progress) = (*expected_seconds, String::new());
                let expected = expected_seconds.map(duration).unwrap_or_default();
                self.running.push(RunningJob { job, since, expected_seconds, expected, progress });
            }
            RunEvent::Progress { job, done, total, unit, .. } => {
                let of = total.map_or_else(String::new, |total| format!("/{total}"));
                self.progress(job, format!("{done}{of} {unit}"));
            }
            RunEvent::Waiting { job } => {
                self.progress(job, "another process computes it; waiting".to_owned());
            }
            RunEvent::Retrying { job, attempt, .. } => self.progress(job, format!("attempt {attempt}")),
            RunEvent::Failed { job, message, help, .. } => {
                self.running.retain(|known| known.job != *job);
                let (job, message, help) = (job.clone(), message.clone(), help.clone());
                self.failures.push(FailedJob { job, message, help });
            }
            RunEvent::Finished { job, .. } | RunEvent::Skipped { job, .. } => {
                self.running.retain(|known| known.job != *job);
            }
            _ => {}
        }
    }

    fn progress(&mut self, job: &str, told: String) {
        if let Some(running) = self.running.iter_mut().find(|running| running.job == job) {
            running.progress = told;
        }
    }

    /// Where the run of this header stands.
    #[must_use]
    pub fn state(&self, run: &RunHeader) -> LiveState {
        let counts = |name: &String| {
            let node = self.tally.nodes.get(name)?;
            Some(NodeCounts {
                node: name.clone(),
                jobs: node.jobs,
                queued: node.count(Stage::Queued),
                running: node.count(Stage::Running),
                cached: node.count(Stage::Cached),
                computed: node.count(Stage::Computed),
                failed: node.count(Stage::Failed),
                skipped: node.count(Stage::Skipped),
            })
        };
        LiveState {
            run: run.id.clone(),
            status: run.status,
            told: self.tally.told(),
            latest: self.latest.clone(),
            nodes: self.nodes.iter().filter_map(counts).collect(),
            running: self.running.iter().take(MOST_TOLD).cloned().collect(),
            failures: self.failures.iter().take(MOST_TOLD).cloned().collect(),
            failed: self.failures.len(),
        }
    }
}

/// The page of a run that goes on; of one that was killed, it is the last that is known.
#[must_use]
pub fn live_page(run: &RunHeader, state: &LiveState) -> String {
    let here = place(&run.id);
    let links = [
        to_list(),
        (format!("/api{here}/live.json"), "JSON"),
        (format!("/api{here}/events.jsonl"), "Events"),
    ];
    let goes_on = run.status == RunStatus::Running;
    let head = if goes_on {
        let (script, page) = SECONDS;
        format!(
            "<noscript><meta http-equiv=\"refresh\" content=\"{page}\"></noscript>\n\
             <script src=\"/live.js\" data-from=\"/api{}/live.json\" data-seconds=\"{script}\" defer></script>\n",
            escape(&here)
        )
    } else {
        String::new()
    };
    let mut page = Page::served(&format!("celldag run: {}", run.pipeline), &links, &head);
    page.html(&format!("<p class=\"told\" id=\"told\">{}</p>", escape(&state.told)));
    page.html(&format!(
        "<p class=\"note\">Run {}, {}, started {}; latest event <span id=\"latest\">{}</span></p>",
        escape(&run.id),
        status(run.status),
        escape(&time(&run.started)),
        escape(&state.latest.as_deref().map_or_else(|| "none".to_owned(), time))
    ));
    if run.status == RunStatus::Killed {
        page.warnings(["The process of this run ended before it could say how the run went. Run the pipeline again: what was computed is in the store, and it goes on from there."]);
    }
    page.html("<div id=\"live\">");
    tables(&mut page, state, goes_on);
    page.html("</div>");
    page.finish()
}

/// What changes while the run goes on. The script builds the same rows.
fn tables(page: &mut Page, state: &LiveState, goes_on: bool) {
    let failures = state.failures.iter().map(|failed| {
        let help = failed.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        vec![("", escape(&failed.job)), ("change", escape(&format!("{}{help}", failed.message)))]
    });
    let failures: Vec<Vec<Cell>> = failures.collect();
    let hidden = if state.failed == 0 { " hidden" } else { "" };
    page.html(&format!("<section id=\"failures\"{hidden}>"));
    page.cells(&format!("Failures: {}", state.failed), &["job", "what"].map(str::to_owned), &failures, "");
    page.html("</section><section id=\"nodes\">");
    let nodes = state.nodes.iter().map(|node| {
        let counts =
            [node.jobs, node.queued, node.running, node.cached, node.computed, node.failed, node.skipped];
        let mut row = vec![("", escape(&node.node))];
        row.extend(counts.map(|count| ("number", count.to_string())));
        row
    });
    let columns = ["node", "jobs", "queued", "running", "cached", "computed", "failed", "skipped"];
    page.cells("Nodes", &columns.map(str::to_owned), &nodes.collect::<Vec<Vec<Cell>>>(), "");
    page.html("</section><section id=\"running\">");
    let running = state.running.iter().map(|job| {
        [&job.job, &time(&job.since), &job.expected, &job.progress].map(|text| ("", escape(text))).to_vec()
    });
    let caption = if goes_on { "Jobs at work" } else { "Jobs that were at work" };
    let columns = ["job", "since", "took before", "so far"].map(str::to_owned);
    page.cells(caption, &columns, &running.collect::<Vec<Vec<Cell>>>(), "");
    page.html("</section>");
}
