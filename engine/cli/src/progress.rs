//! What the user sees of a run: bars on a terminal, plain lines elsewhere, JSON lines for machines.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use celldag_engine::events::{Observer, RunEvent};
use celldag_engine::plan::duration;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::output::Output;

/// The observer that fits the output.
pub(crate) fn observer(output: &Output) -> Box<dyn Observer> {
    if output.json {
        Box::new(JsonLines)
    } else if output.quiet {
        Box::new(ErrorsOnly { output: *output })
    } else if std::io::stderr().is_terminal() {
        Box::new(Bars { screen: MultiProgress::new(), bars: Mutex::default(), output: *output })
    } else {
        Box::new(Lines { output: *output })
    }
}

/// One JSON object a line on stdout.
struct JsonLines;

impl Observer for JsonLines {
    fn event(&self, event: &RunEvent) {
        if let Ok(line) = serde_json::to_string(event) {
            // A reader that went away must not stop the run.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}

/// Failures only.
struct ErrorsOnly {
    output: Output,
}

impl Observer for ErrorsOnly {
    fn event(&self, event: &RunEvent) {
        if let RunEvent::Failed { .. } = event
            && let Some(line) = line(event)
        {
            self.output.complain(&line);
        }
    }
}

/// A line for everything that matters.
struct Lines {
    output: Output,
}

impl Observer for Lines {
    fn event(&self, event: &RunEvent) {
        if let Some(line) = line(event) {
            self.output.complain(&line);
        }
    }
}

/// A bar for each running job; finished jobs scroll by as lines.
struct Bars {
    screen: MultiProgress,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
    output: Output,
}

impl Bars {
    fn with_bars<T>(&self, change: impl FnOnce(&mut BTreeMap<String, ProgressBar>) -> T) -> T {
        change(&mut self.bars.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn spinner(&self, job: &str) -> ProgressBar {
        let bar = self.screen.add(ProgressBar::new_spinner().with_prefix(job.to_owned()));
        bar.set_style(style("{prefix:24} {spinner} {elapsed} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for Bars {
    fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::Started { job, .. } => {
                let bar = self.spinner(job);
                self.with_bars(|bars| bars.insert(job.clone(), bar));
            }
            RunEvent::Progress { job, done, total, unit, .. } => self.with_bars(|bars| {
                let Some(bar) = bars.get(job) else { return };
                if let Some(total) = total
                    && bar.length() != Some(*total)
                {
                    bar.set_length(*total);
                    let rate =
                        format!("{{prefix:24}} {{bar:30}} {{pos}}/{{len}} {unit} {{per_sec}}, {{eta}} left");
                    bar.set_style(style(&rate));
                }
                bar.set_position(*done);
            }),
            RunEvent::Waiting { job } => {
                let bar = self.with_bars(|bars| bars.get(job).cloned()).unwrap_or_else(|| self.spinner(job));
                bar.set_message("another process computes it; waiting");
                self.with_bars(|bars| bars.insert(job.clone(), bar));
            }
            RunEvent::Finished { job, .. } | RunEvent::Failed { job, .. } => {
                if let Some(bar) = self.with_bars(|bars| bars.remove(job)) {
                    bar.finish_and_clear();
                }
            }
            RunEvent::RunFinished { .. } => self.with_bars(|bars| {
                for bar in std::mem::take(bars).into_values() {
                    bar.finish_and_clear();
                }
            }),
            _ => {}
        }
        if let Some(line) = line(event)
            && self.screen.println(&line).is_err()
        {
            self.output.complain(&line);
        }
    }
}

/// The event as a line; `None` for events that only matter to bars.
fn line(event: &RunEvent) -> Option<String> {
    Some(match event {
        RunEvent::Decided { job, state, .. } => format!("{job:24} {state}"),
        RunEvent::Finished { job, seconds, facts, .. } => {
            format!("{job:24} done in {}{}", duration(*seconds), told(facts))
        }
        RunEvent::Warning { job, message } => format!("{job:24} warning: {message}"),
        RunEvent::Waiting { job } => format!("{job:24} another process computes it; waiting"),
        RunEvent::Retrying { job, attempt, message } => format!("{job:24} attempt {attempt}: {message}"),
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
