//! A line for each event that matters: logs of CI and of clusters.

use celldag_engine::events::{Observer, RunEvent};
use celldag_engine::plan::duration;
use serde_json::{Map, Value};

use crate::output::Output;

/// A line for everything that matters.
pub(crate) struct Lines {
    pub(crate) output: Output,
}

impl Observer for Lines {
    fn event(&self, event: &RunEvent) {
        if let Some(line) = line(event) {
            self.output.complain(&line);
        }
    }
}

/// The event as a line; `None` for events that only matter to the tree.
pub(super) fn line(event: &RunEvent) -> Option<String> {
    Some(match event {
        RunEvent::Decided { job, state, .. } => format!("{job:24} {state}"),
        RunEvent::Finished { job, seconds, facts, .. } => {
            format!("{job:24} done in {}{}", duration(*seconds), told(facts))
        }
        RunEvent::Warning { job, message } => format!("{job:24} warning: {message}"),
        RunEvent::Printed { job, text } => format!("{job:24} its program printed:\n{}", text.trim_end()),
        RunEvent::Waiting { job } => format!("{job:24} another process computes it; waiting"),
        RunEvent::Retrying { job, attempt, message, wait_seconds, changed } => {
            let with = match serde_json::to_string(changed) {
                Ok(changed) if changed != "{}" => format!(" with {changed}"),
                _ => format!(" in {}", duration(*wait_seconds)),
            };
            format!("{job:24} attempt {attempt}{with}: {message}")
        }
        RunEvent::Failed { job, message, help, .. } => {
            let help = help.as_ref().map(|h| format!("\nhint: {h}")).unwrap_or_default();
            format!("{job:24} FAILED: {message}{help}")
        }
        RunEvent::Skipped { job, because, .. } => format!("{job:24} skipped: {because}"),
        RunEvent::RunStarted { .. }
        | RunEvent::Started { .. }
        | RunEvent::Progress { .. }
        | RunEvent::OutputWritten { .. }
        | RunEvent::RunFinished { .. } => return None,
    })
}

/// Counts of a step: `cells 700 → 690, genes 765 → 700`.
fn told(facts: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    for (name, from) in facts {
        if let Some(what) = name.strip_suffix("_in")
            && let Some(to) = facts.get(&format!("{what}_out"))
        {
            parts.push(format!("{what} {from} → {to}"));
        }
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}
