//! How far each node of a run is, counted from its events.

use std::collections::BTreeMap;

use crate::events::RunEvent;
use crate::plan::{JobState, duration};

/// Where a job stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Neither started nor ended.
    #[default]
    Queued,
    /// Its work goes on.
    Running,
    /// Taken from the store.
    Cached,
    /// Computed in this run.
    Computed,
    /// Failed.
    Failed,
    /// Not started, because of a failure or an interrupt.
    Skipped,
}

/// The jobs of one node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// All of them.
    pub jobs: usize,
    stages: BTreeMap<Stage, usize>,
    /// Seconds of those that were computed in this run.
    seconds: f64,
    /// Seconds that a job took in earlier runs.
    expected: Option<f64>,
}

impl Node {
    /// Jobs that stand there. Jobs that were not heard of are queued.
    #[must_use]
    pub fn count(&self, stage: Stage) -> usize {
        match stage {
            Stage::Queued => self.jobs.saturating_sub(self.ended() + self.count(Stage::Running)),
            stage => self.stages.get(&stage).copied().unwrap_or(0),
        }
    }

    /// Jobs that have ended, well or not.
    #[must_use]
    pub fn ended(&self) -> usize {
        [Stage::Cached, Stage::Computed, Stage::Failed, Stage::Skipped]
            .map(|stage| self.count(stage))
            .iter()
            .sum()
    }

    /// Jobs whose work goes on.
    #[must_use]
    pub fn running(&self) -> usize {
        self.count(Stage::Running)
    }

    /// Seconds that one of its jobs takes, from this run or else from earlier ones.
    fn each(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a number of jobs")]
        match self.count(Stage::Computed) {
            0 => self.expected,
            computed => Some(self.seconds / computed as f64),
        }
    }

    /// `3 running, 12 cached, 1 failed`, without what there is none of.
    #[must_use]
    pub fn told(&self) -> String {
        let words = [
            (Stage::Running, "running"),
            (Stage::Cached, "cached"),
            (Stage::Computed, "computed"),
            (Stage::Failed, "failed"),
            (Stage::Skipped, "skipped"),
        ];
        let parts = words.iter().filter(|(stage, _)| self.count(*stage) > 0);
        let parts: Vec<String> =
            parts.map(|(stage, word)| format!("{} {word}", self.count(*stage))).collect();
        parts.join(", ")
    }
}

/// All nodes of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By name.
    pub nodes: BTreeMap<String, Node>,
    jobs: BTreeMap<String, (String, Stage)>,
}

impl Tally {
    /// Counts an event; returns the node that it changed.
    pub fn count(&mut self, event: &RunEvent) -> Option<String> {
        let (job, node, stage) = match event {
            RunEvent::RunStarted { nodes, .. } => {
                let new =
                    |(name, jobs): &(String, usize)| (name.clone(), Node { jobs: *jobs, ..Node::default() });
                self.nodes = nodes.iter().map(new).collect();
                return None;
            }
            RunEvent::Decided { job, node, state: JobState::Cached { .. } } => (job, node, Stage::Cached),
            // A result that proves to be damaged is decided on twice.
            RunEvent::Decided { job, node, .. } => (job, node, Stage::Queued),
            RunEvent::Started { job, node, expected_seconds, .. } => {
                if let (Some(node), Some(_)) = (self.nodes.get_mut(node), expected_seconds) {
                    node.expected = *expected_seconds;
                }
                (job, node, Stage::Running)
            }
            RunEvent::Finished { job, node, seconds, .. } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.seconds += seconds;
                }
                (job, node, Stage::Computed)
            }
            RunEvent::Failed { job, node, .. } => (job, node, Stage::Failed),
            RunEvent::Skipped { job, node, .. } => (job, node, Stage::Skipped),
            _ => return None,
        };
        let before = self.jobs.insert(job.clone(), (node.clone(), stage));
        let stages = &mut self.nodes.entry(node.clone()).or_default().stages;
        if let Some((_, before)) = before
            && let Some(count) = stages.get_mut(&before)
        {
            *count = count.saturating_sub(1);
        }
        *stages.entry(stage).or_default() += 1;
        Some(node.clone())
    }

    /// The node of a job that was heard of.
    #[must_use]
    pub fn node_of(&self, job: &str) -> Option<&str> {
        self.jobs.get(job).map(|(node, _)| node.as_str())
    }

    /// `120/400 jobs, 3 running, 1 failed, about 12 min left`: the work that is left by the times known, over the jobs that
    /// run now. Some of it may be in the store, and soon more or fewer jobs may run, so it is no bound; it is not told as long
    /// as a node with work left has never been timed.
    #[must_use]
    pub fn told(&self) -> String {
        let sum = |of: fn(&Node) -> usize| self.nodes.values().map(of).sum::<usize>();
        let running = sum(Node::running);
        let mut text = format!("{}/{} jobs", sum(Node::ended), sum(|node| node.jobs));
        for (count, word) in [(running, "running"), (sum(|node| node.count(Stage::Failed)), "failed")] {
            if count > 0 {
                text += &format!(", {count} {word}");
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of jobs")]
        let left = self
            .nodes
            .values()
            .filter(|node| node.ended() < node.jobs)
            .try_fold(0.0, |sum, node| Some(sum + node.each()? * (node.jobs - node.ended()) as f64));
        #[expect(clippy::cast_precision_loss, reason = "a number of jobs")]
        if let Some(left) = left.filter(|left| *left > 0.0) {
            text += &format!(", about {} left", duration(left / running.max(1) as f64));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(value: serde_json::Value) -> RunEvent {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_job_is_counted_once_where_it_stands() {
        let mut tally = Tally::default();
        let nodes = json!([["qc", 1], ["head", 4]]);
        tally.count(&event(
            json!({"event": "run_started", "run": "r", "pipeline": "p", "nodes": nodes, "device": "cpu"}),
        ));
        let cached = json!({"state": "cached", "age": 1.0, "saved_seconds": 2.0});
        let decided = |job: &str, node: &str, state: &serde_json::Value| {
            event(json!({"event": "decided", "job": job, "node": node, "state": state}))
        };
        tally.count(&decided("qc", "qc", &cached));
        assert_eq!(tally.told(), "1/5 jobs");
        // Its bytes prove to be damaged.
        let runs = json!({"state": "runs", "reasons": []});
        tally.count(&decided("qc", "qc", &runs));
        assert_eq!(tally.told(), "0/5 jobs");
        let started =
            |job: &str, node: &str| event(json!({"event": "started", "job": job, "node": node, "kind": "k"}));
        let finished = |job: &str, node: &str, seconds: f64| {
            event(json!({"event": "finished", "job": job, "node": node, "seconds": seconds, "facts": {}}))
        };
        tally.count(&started("qc", "qc"));
        tally.count(&finished("qc", "qc", 1.0));
        tally.count(&started("head[0]", "head"));
        assert_eq!(tally.told(), "1/5 jobs, 1 running", "nobody knows how long a head takes");
        tally.count(&finished("head[0]", "head", 8.0));
        tally.count(&started("head[1]", "head"));
        assert_eq!(tally.told(), "2/5 jobs, 1 running, about 24 s left");
        tally.count(&decided("head[2]", "head", &cached));
        assert_eq!(tally.nodes["head"].told(), "1 running, 1 cached, 1 computed");
        assert_eq!((tally.nodes["head"].ended(), tally.node_of("head[1]")), (2, Some("head")));
        for job in ["head[1]", "head[3]"] {
            tally.count(&event(
                json!({"event": "skipped", "job": job, "node": "head", "because": "interrupted"}),
            ));
        }
        assert_eq!(tally.told(), "5/5 jobs");
    }
}
