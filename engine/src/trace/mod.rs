//! A run as a trace in the Chrome format, which Perfetto (<https://ui.perfetto.dev>) and `chrome://tracing` show.
//!
//! Rows are slots: a job lies in the lowest one that was free when it began. Times come from the events of the run, to the
//! millisecond; a trace of a run that goes on, or was killed, ends with its last event.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::events::RunEvent;
use crate::plan::JobState;
use crate::record::{LoggedEvent, RunHeader};

/// The row of jobs that the store had.
const STORE: usize = 0;

/// Something that goes on.
struct Open {
    lane: usize,
    since: i64,
    name: String,
    category: String,
    args: Value,
}

struct Tracer {
    events: Vec<Value>,
    /// Microseconds since the run began.
    now: i64,
    open: BTreeMap<String, Open>,
    /// Which slots are taken.
    lanes: Vec<bool>,
    /// When it was decided that a job runs, and why.
    decided: BTreeMap<String, (i64, String)>,
}

/// The trace of a run.
#[must_use]
pub fn trace(header: &RunHeader, events: &[LoggedEvent]) -> Value {
    let time = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    let first = events.first().and_then(|event| time(&event.time));
    let start = time(&header.started).or(first).unwrap_or_default();
    let mut tracer = Tracer {
        events: Vec::new(),
        now: 0,
        open: BTreeMap::new(),
        lanes: Vec::new(),
        decided: BTreeMap::new(),
    };
    for logged in events {
        if let Some(at) = time(&logged.time) {
            // A clock that was set back during a run must not give a job a negative time.
            tracer.now = tracer.now.max(at - start);
        }
        tracer.take(&logged.event);
    }
    for job in tracer.open.keys().cloned().collect::<Vec<_>>() {
        tracer.close(&job, "not ended");
    }
    let name = |what: &str, row: usize, name: String| json!({ "ph": "M", "name": what, "pid": 1, "tid": row, "args": { "name": name } });
    let mut all = vec![
        name("process_name", STORE, format!("celldag run {} of {}", header.id, header.pipeline)),
        name("thread_name", STORE, "from the store".to_owned()),
    ];
    all.extend((1..=tracer.lanes.len()).map(|lane| name("thread_name", lane, format!("slot {lane}"))));
    all.append(&mut tracer.events);
    json!({ "traceEvents": all, "displayTimeUnit": "ms", "otherData": { "started": header.started } })
}

impl Tracer {
    fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Decided { job, state: JobState::Cached { saved_seconds, .. }, .. } => {
                // While it waited for another process to compute the same.
                self.close(job, "computed by another process");
                let args = json!({ "saved_seconds": saved_seconds });
                self.instant(STORE, job, "cached", &args);
            }
            RunEvent::Decided { job, state, .. } => {
                self.decided.insert(job.clone(), (self.now, state.to_string()));
            }
            RunEvent::Waiting { job } => {
                let name = format!("{job} waits for another process");
                self.begin(job, name, "lock", json!({}));
            }
            RunEvent::Started { job, node, kind, gpus, .. } => {
                self.close(job, "another process has let go");
                let mut args = json!({ "node": node, "kind": kind, "attempt": 1 });
                if !gpus.is_empty() {
                    args["gpus"] = json!(gpus);
                }
                if let Some((since, why)) = self.decided.get(job) {
                    #[expect(clippy::cast_precision_loss, reason = "microseconds of a run")]
                    let queued = (self.now - since) as f64 / 1e6;
                    args["why"] = json!(why);
                    args["queued_seconds"] = json!(queued);
                }
                self.begin(job, job.clone(), kind, args);
            }
            RunEvent::Retrying { job, attempt, message, changed, .. } => {
                let again = self.open.get(job).map(|open| (open.category.clone(), open.args.clone()));
                self.close(job, &format!("failed, tried again: {message}"));
                if let Some((category, mut args)) = again {
                    args["attempt"] = json!(attempt);
                    if !changed.is_empty() {
                        args["changed"] = json!(changed);
                    }
                    self.begin(job, format!("{job} (attempt {attempt})"), &category, args);
                }
            }
            RunEvent::Finished { job, .. } => {
                self.close(job, "done");
            }
            RunEvent::Failed { job, message, .. } => {
                let told = format!("failed: {message}");
                if !self.close(job, &told) {
                    self.instant(STORE, job, "failed", &json!({ "state": told }));
                }
            }
            RunEvent::Skipped { job, because, .. } => {
                self.close(job, because);
            }
            RunEvent::Warning { job, message } => {
                let lane = self.open.get(job).map_or(STORE, |open| open.lane);
                self.instant(lane, &format!("warning of {job}"), "warning", &json!({ "message": message }));
            }
            _ => {}
        }
    }

    fn begin(&mut self, job: &str, name: String, category: &str, args: Value) {
        let free = self.lanes.iter().position(|taken| !taken);
        let lane = free.unwrap_or_else(|| {
            self.lanes.push(false);
            self.lanes.len() - 1
        });
        self.lanes[lane] = true;
        let open = Open { lane: lane + 1, since: self.now, name, category: category.to_owned(), args };
        self.open.insert(job.to_owned(), open);
        self.running();
    }

    /// Ends what goes on with a job; `false` when nothing does.
    fn close(&mut self, job: &str, state: &str) -> bool {
        let Some(mut open) = self.open.remove(job) else { return false };
        self.lanes[open.lane - 1] = false;
        open.args["state"] = json!(state);
        self.events.push(json!({
            "ph": "X", "name": open.name, "cat": open.category, "pid": 1, "tid": open.lane,
            "ts": open.since, "dur": self.now - open.since, "args": open.args,
        }));
        self.running();
        true
    }

    fn instant(&mut self, lane: usize, name: &str, category: &str, args: &Value) {
        self.events.push(json!({
            "ph": "i", "s": "t", "name": name, "cat": category, "pid": 1, "tid": lane, "ts": self.now, "args": args,
        }));
    }

    fn running(&mut self) {
        let running = self.open.len();
        self.events.push(json!({
            "ph": "C", "name": "jobs running", "pid": 1, "ts": self.now, "args": { "jobs": running },
        }));
    }
}
