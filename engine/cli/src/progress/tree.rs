//! The live tree of a terminal: a bar for each node that is at work and one below it for each of its running jobs, over a
//! line for the whole run. What has ended scrolls by as lines: a node of one job as that job, a node of many as one line.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use celldag_engine::events::{Observer, RunEvent};
use celldag_engine::tally::Tally;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::lines::line;
use crate::output::Output;

pub(super) struct Tree {
    screen: MultiProgress,
    state: Mutex<State>,
    output: Output,
}

#[derive(Default)]
struct State {
    tally: Tally,
    /// The line of the run, below all others.
    run: Option<ProgressBar>,
    nodes: BTreeMap<String, ProgressBar>,
    jobs: BTreeMap<String, ProgressBar>,
}

impl Tree {
    pub(super) fn new(output: Output) -> Self {
        Self { screen: MultiProgress::new(), state: Mutex::default(), output }
    }

    fn print(&self, line: &str) {
        if self.screen.println(line).is_err() {
            self.output.complain(line);
        }
    }

    /// A bar above the line of the run, or below the bar of its node.
    fn add(&self, state: &State, below: Option<&ProgressBar>, bar: ProgressBar) -> ProgressBar {
        match (below, &state.run) {
            (Some(node), _) => self.screen.insert_after(node, bar),
            (None, Some(run)) => self.screen.insert_before(run, bar),
            (None, None) => self.screen.add(bar),
        }
    }

    fn job(&self, state: &mut State, job: &str) -> ProgressBar {
        if let Some(bar) = state.jobs.get(job) {
            return bar.clone();
        }
        let node = state.tally.node_of(job).and_then(|node| state.nodes.get(node)).cloned();
        let prefix = if node.is_some() { format!("  {job}") } else { job.to_owned() };
        let bar = self.add(state, node.as_ref(), ProgressBar::new_spinner().with_prefix(prefix));
        bar.set_style(style("{prefix:24} {spinner} {elapsed} {msg}"));
        bar.enable_steady_tick(Duration::from_millis(200));
        state.jobs.insert(job.to_owned(), bar.clone());
        bar
    }

    /// The bar of a node of several jobs, from its first job that runs to its last that ends.
    fn node(&self, state: &mut State, name: &str) {
        let Some(node) = state.tally.nodes.get(name).filter(|node| node.jobs > 1).cloned() else { return };
        if node.ended() == node.jobs {
            if let Some(bar) = state.nodes.remove(name) {
                bar.finish_and_clear();
            }
            self.print(&format!("{name:24} {} jobs: {}", node.jobs, node.told()));
            return;
        }
        if !state.nodes.contains_key(name) && node.running() > 0 {
            let bar = self.add(state, None, ProgressBar::new(node.jobs as u64).with_prefix(name.to_owned()));
            bar.set_style(style("{prefix:24} {bar:20} {pos}/{len} {msg}"));
            state.nodes.insert(name.to_owned(), bar);
        }
        if let Some(bar) = state.nodes.get(name) {
            bar.set_position(node.ended() as u64);
            bar.set_message(node.told());
        }
    }

    /// Whether an event of a job stands in the line of its node.
    fn in_node(state: &State, event: &RunEvent) -> bool {
        let (RunEvent::Decided { node, .. }
        | RunEvent::Finished { node, .. }
        | RunEvent::Skipped { node, .. }) = event
        else {
            return false;
        };
        state.tally.nodes.get(node).is_some_and(|node| node.jobs > 1)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for Tree {
    fn event(&self, event: &RunEvent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let changed = state.tally.count(event);
        match event {
            RunEvent::RunStarted { pipeline, .. } => {
                let bar = self.screen.add(ProgressBar::new_spinner().with_prefix(pipeline.clone()));
                bar.set_style(style("{prefix:24} {elapsed} {msg}"));
                bar.enable_steady_tick(Duration::from_secs(1));
                state.run = Some(bar);
            }
            RunEvent::Progress { job, done, total, unit, .. } => {
                let bar = self.job(state, job);
                if let Some(total) = total
                    && bar.length() != Some(*total)
                {
                    bar.set_length(*total);
                    let rate =
                        format!("{{prefix:24}} {{bar:30}} {{pos}}/{{len}} {unit} {{per_sec}}, {{eta}} left");
                    bar.set_style(style(&rate));
                }
                bar.set_position(*done);
            }
            RunEvent::Waiting { job } => {
                self.job(state, job).set_message("another process computes it; waiting");
            }
            RunEvent::Finished { job, .. } | RunEvent::Failed { job, .. } | RunEvent::Skipped { job, .. } => {
                if let Some(bar) = state.jobs.remove(job) {
                    bar.finish_and_clear();
                }
            }
            RunEvent::RunFinished { .. } => {
                let bars = std::mem::take(&mut state.jobs).into_values();
                let bars = bars.chain(std::mem::take(&mut state.nodes).into_values()).chain(state.run.take());
                bars.for_each(|bar| bar.finish_and_clear());
            }
            _ => {}
        }
        if let Some(node) = changed {
            self.node(state, &node);
        }
        if let RunEvent::Started { job, .. } = event {
            self.job(state, job);
        }
        if let Some(run) = &state.run {
            run.set_message(state.tally.told());
        }
        if let Some(line) = line(event).filter(|_| !Self::in_node(state, event)) {
            self.print(&line);
        }
    }
}
