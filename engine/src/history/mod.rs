//! What the jobs of a plan will cost, judged by what jobs have cost: seconds of work and bytes of results.
//!
//! An estimate says what it rests on. Best is the same job in an earlier run, then other jobs of its node, then jobs of its
//! kind in any pipeline. Where a job of the past tells how much it took in (`cells_in`, or `cells`) and what stands above the new
//! one tells how much it gives (`cells_out`, or `cells`), cost grows in proportion. Otherwise the job is unknown, and counted as such.

mod nodes;
mod past;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use celldag_cache::Store;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::pipeline::Pipeline;
use crate::plan::{JobState, Plan, PlannedJob, parents};
pub use nodes::seconds_by_node;
use past::{Amounts, Past, Pasts};

/// What an estimate of a job rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum Basis {
    /// The same job.
    LastTime {
        /// In this run.
        run: String,
    },
    /// Other jobs of the node.
    SameNode {
        /// How many.
        jobs: usize,
    },
    /// Jobs of the kind, in any pipeline.
    SameKind {
        /// How many.
        jobs: usize,
    },
}

/// What one job will cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEstimate {
    /// Job id.
    pub job: String,
    /// Seconds of work.
    pub seconds: f64,
    /// Bytes of its results.
    pub bytes: u64,
    /// What it rests on.
    #[serde(flatten)]
    pub basis: Basis,
    /// Whether it was scaled by the amount of data.
    pub scaled: bool,
}

/// Jobs added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// Jobs with an estimate.
    pub known: usize,
    /// Their seconds of work, one after the other.
    pub seconds: f64,
    /// Bytes of their results.
    pub bytes: u64,
    /// Jobs without an estimate.
    pub unknown: usize,
    /// Nodes of those.
    pub unknown_nodes: BTreeSet<String>,
}

/// What a plan will cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Jobs that run.
    pub runs: Total,
    /// Jobs that may run.
    pub may_run: Total,
    /// Each job that has an estimate.
    pub jobs: Vec<JobEstimate>,
}

/// Estimates what a plan of this pipeline will cost. Reads the newest runs of the store, writes nothing.
///
/// # Errors
/// When the runs cannot be listed.
pub fn estimate(store: &Store, pipeline: &Pipeline, plan: &Plan) -> Result<Estimate, EngineError> {
    let mut estimate = Estimate::default();
    if plan.is_cached() {
        return Ok(estimate);
    }
    let wanted = plan.jobs.iter().filter(|job| !job.state.is_cached()).map(|job| job.id.as_str()).collect();
    let pasts = Pasts::load(store, &pipeline.name, wanted)?;
    let mut given: BTreeMap<usize, Amounts> = BTreeMap::new();
    for job in &plan.jobs {
        // In a new store there is nothing to compare with.
        let above =
            if pasts.is_empty() { Amounts::new() } else { amounts_above(pipeline, job.index, &given) };
        let own = job.key.filter(|_| job.state.is_cached()).and_then(|key| pasts.amounts(&key));
        let one = if job.state.is_cached() { None } else { guess(&pasts, job, &above) };
        let total = match job.state {
            JobState::Cached { .. } | JobState::Fails { .. } => None,
            JobState::Runs { .. } => Some(&mut estimate.runs),
            JobState::MayRun { .. } => Some(&mut estimate.may_run),
        };
        if let Some(total) = total {
            total.add(job, one.as_ref());
        }
        estimate.jobs.extend(one);
        // What a job will give is not known before it ran; most give about as much as they take.
        given.insert(job.index, own.unwrap_or(above));
    }
    Ok(estimate)
}

impl Total {
    fn add(&mut self, job: &PlannedJob, estimate: Option<&JobEstimate>) {
        match estimate {
            Some(one) => {
                self.known += 1;
                self.seconds += one.seconds;
                self.bytes = self.bytes.saturating_add(one.bytes);
            }
            None => {
                self.unknown += 1;
                self.unknown_nodes.insert(job.node.clone());
            }
        }
    }
}

/// What the jobs above give: of several, the sum, since gathered data come together.
fn amounts_above(pipeline: &Pipeline, job: usize, given: &BTreeMap<usize, Amounts>) -> Amounts {
    let above: BTreeSet<usize> = parents(pipeline, job).collect();
    // One node above may come as many labelled artifacts (folds of the same cells); the largest of each node counts.
    let mut nodes: BTreeMap<&str, Amounts> = BTreeMap::new();
    for index in above {
        let Some(amounts) = given.get(&index) else { continue };
        let known = nodes.entry(pipeline.jobs[index].node.as_str()).or_default();
        for (name, amount) in amounts {
            let entry = known.entry(name.clone()).or_insert(*amount);
            *entry = (*entry).max(*amount);
        }
    }
    let mut most = Amounts::new();
    for (name, amount) in nodes.into_values().flatten() {
        let entry = most.entry(name).or_insert(amount);
        *entry = (*entry).max(amount);
    }
    most
}

fn guess(pasts: &Pasts, job: &PlannedJob, above: &Amounts) -> Option<JobEstimate> {
    let made = |pasts: &[Past], basis: fn(&Past, usize) -> Basis| {
        let first = pasts.first()?;
        let mut scaled = false;
        let mut seconds = Vec::new();
        let mut bytes = Vec::new();
        for past in pasts {
            let factor = past.growth(above);
            scaled |= factor.is_some_and(|factor| factor != 1.0);
            seconds.push(past.seconds * factor.unwrap_or(1.0));
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            bytes.push(past.bytes as f64 * factor.unwrap_or(1.0));
        }
        Some(JobEstimate {
            job: job.id.clone(),
            seconds: median(seconds),
            bytes: median(bytes).round() as u64,
            basis: basis(first, pasts.len()),
            scaled,
        })
    };
    let last = pasts.job(&job.id).map(std::slice::from_ref).unwrap_or_default();
    made(last, |past, _| Basis::LastTime { run: past.run.clone() })
        .or_else(|| made(pasts.node(&job.node), |_, jobs| Basis::SameNode { jobs }))
        .or_else(|| made(pasts.kind(&job.kind), |_, jobs| Basis::SameKind { jobs }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
