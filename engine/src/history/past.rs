//! What jobs of recorded runs have cost.

use std::collections::{BTreeMap, BTreeSet};

use celldag_cache::{Artifact, Key, Store};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::EngineError;
use crate::record::{JobOutcome, Scan};

/// How many runs of the pipeline are read, and how many others.
const LOOK_BACK: (usize, usize) = (12, 12);

/// More jobs of one node or kind than this change a median no more.
const SAMPLE: usize = 51;

/// How much there is of what: `cells` → 700.
pub(super) type Amounts = BTreeMap<String, u64>;

/// What a job has cost.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) run: String,
    pub(super) seconds: f64,
    pub(super) bytes: u64,
    /// What it took in.
    pub(super) taken: Amounts,
}

impl Past {
    /// How many times as much there is now; `None` where past and present have no count in common.
    pub(super) fn growth(&self, now: &Amounts) -> Option<f64> {
        let (name, then) = self.taken.iter().find(|(name, then)| **then > 0 && now.contains_key(*name))?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        Some(now[name] as f64 / *then as f64)
    }
}

/// Jobs of the past by job, node and kind, newest first.
#[derive(Debug, Default)]
pub(super) struct Pasts {
    jobs: BTreeMap<String, Past>,
    nodes: BTreeMap<String, Vec<Past>>,
    kinds: BTreeMap<String, Vec<Past>>,
    /// What results gave on.
    given: BTreeMap<Key, Amounts>,
}

/// As much of a job as is needed here.
#[derive(Deserialize)]
struct Job {
    id: String,
    node: String,
    kind: String,
    outcome: JobOutcome,
    key: Option<Key>,
    seconds: f64,
    outputs: BTreeMap<String, Artifact>,
    summary: Facts,
}

#[derive(Deserialize)]
struct Facts {
    facts: Map<String, Value>,
}

impl Pasts {
    /// Reads runs, newest first, until each of the `wanted` jobs of the pipeline is known.
    pub(super) fn load(
        store: &Store,
        pipeline: &str,
        mut wanted: BTreeSet<&str>,
    ) -> Result<Self, EngineError> {
        let scan = Scan::open(store)?;
        let mut pasts = Self::default();
        let (mut own, mut others) = LOOK_BACK;
        for id in scan.ids() {
            if wanted.is_empty() || (own == 0 && others == 0) {
                break;
            }
            // A damaged record must not stop a plan: it only costs estimates.
            let Some(header) = scan.header(id) else { continue };
            let ours = header.pipeline == pipeline;
            let left = if ours { &mut own } else { &mut others };
            if *left == 0 {
                continue;
            }
            *left -= 1;
            for job in scan.jobs::<Job>(id, u64::MAX).into_iter().flatten() {
                if matches!(job.outcome, JobOutcome::Hit | JobOutcome::Ran) {
                    if ours {
                        wanted.remove(job.id.as_str());
                    }
                    pasts.insert(id, job, ours);
                }
            }
        }
        Ok(pasts)
    }

    fn insert(&mut self, run: &str, job: Job, ours: bool) {
        let facts = &job.summary.facts;
        if let Some(key) = job.key {
            self.given.entry(key).or_insert_with(|| amounts(facts, "_out"));
        }
        let past = Past {
            run: run.to_owned(),
            seconds: job.seconds,
            bytes: job.outputs.values().map(|artifact| artifact.size).sum(),
            taken: amounts(facts, "_in"),
        };
        if ours {
            let of_node = self.nodes.entry(job.node).or_default();
            if of_node.len() < SAMPLE {
                of_node.push(past.clone());
            }
            self.jobs.entry(job.id).or_insert_with(|| past.clone());
        }
        let of_kind = self.kinds.entry(job.kind).or_default();
        if of_kind.len() < SAMPLE {
            of_kind.push(past);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn job(&self, id: &str) -> Option<&Past> {
        self.jobs.get(id)
    }

    pub(super) fn node(&self, node: &str) -> &[Past] {
        self.nodes.get(node).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn kind(&self, kind: &str) -> &[Past] {
        self.kinds.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// What the result of this key gave on.
    pub(super) fn amounts(&self, key: &Key) -> Option<Amounts> {
        self.given.get(key).filter(|amounts| !amounts.is_empty()).cloned()
    }
}

/// Counts among the facts: `cells_in` (for the side `_in`) or, without it, `cells`.
pub(super) fn amounts(facts: &Map<String, Value>, side: &str) -> Amounts {
    let mut amounts = Amounts::new();
    for (name, value) in facts {
        let Some(count) = value.as_u64() else { continue };
        match name.strip_suffix(side) {
            Some(stem) => {
                amounts.insert(stem.to_owned(), count);
            }
            None => {
                amounts.entry(name.clone()).or_insert(count);
            }
        }
    }
    amounts
}
