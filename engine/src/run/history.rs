//! How long jobs took in earlier runs, for the order in which they start and for what is left of them.

use std::collections::BTreeMap;

use celldag_cache::Store;
use serde::Deserialize;

use crate::pipeline::{Job, Pipeline};
use crate::record::{JobOutcome, Scan};

/// How many runs of the pipeline are read. One is enough where it was complete; the others fill its holes.
const RUNS: usize = 3;

/// How many run folders are looked at for them: a store may hold thousands of runs of other pipelines.
const LOOK_AT: usize = 40;

/// Records larger than this are not read: that would cost more than a better order brings.
const LARGEST: u64 = 256 << 20;

/// The little of a job that matters here.
#[derive(Deserialize)]
struct Entry {
    id: String,
    node: String,
    outcome: JobOutcome,
    seconds: f64,
}

/// Seconds of computing by job, and the mean by node. Cached jobs count with what computing them once took.
#[derive(Debug, Default)]
pub(crate) struct History {
    jobs: BTreeMap<String, f64>,
    nodes: BTreeMap<String, f64>,
}

impl History {
    /// Reads the newest runs of the pipeline. What cannot be read is left out: it only costs estimates.
    pub(crate) fn read(store: &Store, pipeline: &Pipeline) -> Self {
        let mut jobs: BTreeMap<String, f64> = BTreeMap::new();
        let mut nodes: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for entry in runs(store, &pipeline.name).into_iter().flatten() {
            if matches!(entry.outcome, JobOutcome::Ran | JobOutcome::Hit) && !jobs.contains_key(&entry.id) {
                let (sum, count) = nodes.entry(entry.node).or_default();
                *sum += entry.seconds;
                *count += 1.0;
                jobs.insert(entry.id, entry.seconds);
            }
        }
        let nodes = nodes.into_iter().map(|(node, (sum, count))| (node, sum / count)).collect();
        Self { jobs, nodes }
    }

    /// Seconds that the job is expected to take: as it did before, or as jobs of its node did.
    pub(crate) fn seconds(&self, job: &Job) -> Option<f64> {
        self.jobs.get(&job.id).or_else(|| self.nodes.get(&job.node)).copied()
    }

    /// What to expect of a job that nothing is known about: the mean of the nodes, or the same for all.
    pub(crate) fn usual(&self) -> f64 {
        let known = self.nodes.len();
        if known == 0 { 1.0 } else { self.nodes.values().sum::<f64>() / known as f64 }
    }
}

/// Jobs of the newest runs of the pipeline, newest run first.
fn runs(store: &Store, pipeline: &str) -> Vec<Vec<Entry>> {
    let Ok(scan) = Scan::open(store) else { return Vec::new() };
    let read = |id: &String| {
        scan.header(id).filter(|header| header.pipeline == pipeline)?;
        scan.jobs(id, LARGEST)
    };
    scan.ids().iter().take(LOOK_AT).filter_map(read).take(RUNS).collect()
}
