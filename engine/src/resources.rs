//! What a job needs of the machine, and when a failure is tried again. Nothing of it is part of a key: it changes when and
//! how fast a job runs, never what it gives.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde_json::Value;

/// `resources:` of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU slots held while the job runs; at least one.
    pub threads: Option<usize>,
    /// Main memory in bytes that is held while the job runs.
    pub ram: Option<u64>,
    /// How many GPUs the job holds. A kind that uses the device holds one without asking.
    pub gpus: u32,
    /// Memory of each of these GPUs in bytes that is held while the job runs; the whole GPU when absent.
    pub gpu_memory: Option<u64>,
}

/// More parts than any cluster works on at once; a larger number is a slip.
pub(crate) const MAX_SHARDS: u32 = 10_000;

/// How a workflow manager may cut the jobs of a node, or bundle them (`celldag export`). A run on one machine has no use for
/// it: results are the same, and cached under the same keys, however they were dispatched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dispatch {
    /// `shards:`: each job is cut into so many, by cells, and their parts are put together again. The whole when absent;
    /// never 1.
    pub shards: Option<NonZeroU32>,
    /// `batch:`: axes of the node whose values are worked through by one job of the cluster.
    pub batch: Vec<String>,
    /// Axes of the node in the order of `axes:`. Its jobs are listed so that the first of them changes least often.
    pub axes: Vec<String>,
}

/// `retries:` of a node, by cause.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retries {
    /// How many times a transient failure (a lost device, a service that does not answer) is tried again.
    pub transient: u32,
    /// What to change when memory runs out.
    pub out_of_memory: Option<OutOfMemory>,
}

/// `retries: {out_of_memory: {times: 1, set: {batch_size: half}}}`.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfMemory {
    /// How many times.
    pub times: u32,
    /// Perf parameter → what becomes of it, each time. Only perf parameters: the key, and so the result, stays the same.
    pub set: BTreeMap<String, PerfChange>,
}

/// What becomes of a perf parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum PerfChange {
    /// Half of it, rounded down, at least 1.
    Half,
    /// This value.
    Value(Value),
}

impl PerfChange {
    /// What becomes of a value: whole numbers stay whole. `None` where there is no half of it.
    #[must_use]
    pub fn of(&self, now: &Value) -> Option<Value> {
        match (self, now.as_u64(), now.as_f64()) {
            (Self::Value(value), ..) => Some(value.clone()),
            (Self::Half, Some(whole), _) => Some((whole / 2).max(1).into()),
            (Self::Half, None, Some(number)) => Some((number / 2.0).max(1.0).into()),
            (Self::Half, None, None) => None,
        }
    }
}
