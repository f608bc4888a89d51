//! Which failures are tried again in the same run, how often, after which wait, and with what changed.

use std::collections::BTreeMap;
use std::time::Duration;

use celldag_cache::Key;
use serde_json::{Map, Value};

use crate::pipeline::Job;
use crate::resources::{OutOfMemory, PerfChange};
use crate::step::{Cancel, FailureCause, NodeError, Outlook};

/// Longest wait before an attempt.
const LONGEST: Duration = Duration::from_secs(30);

/// How often a waiting job looks whether it should stop.
const TICK: Duration = Duration::from_millis(20);

/// A lost device is tried once more even if the pipeline does not say so: nothing about the work is wrong, and a step that
/// saves its state goes on where it was.
const LOST: u32 = 1;

/// The attempts of one job.
#[derive(Debug)]
pub(crate) struct Tries {
    /// Attempts so far, the one that is going on included.
    pub(crate) number: u32,
    /// Perf parameters that differ from what the pipeline says.
    pub(crate) changed: Map<String, Value>,
    transient: u32,
    lost: u32,
    memory: u32,
}

/// What comes after a failure.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The failure counts.
    GiveUp,
    /// Another attempt, after a wait.
    Again(Duration),
}

impl Tries {
    pub(crate) fn new() -> Self {
        Self { number: 1, changed: Map::new(), transient: 0, lost: 0, memory: 0 }
    }

    /// Tells the record what was needed, if more than one attempt was.
    pub(crate) fn state(&self, execution: &mut Map<String, Value>) {
        if self.number > 1 {
            execution.insert("attempts".to_owned(), self.number.into());
        }
        if !self.changed.is_empty() {
            execution.insert("changed".to_owned(), Value::Object(self.changed.clone()));
        }
    }

    /// What to do after `error`. `params` are those of the attempt; `first` is the wait before the second attempt.
    pub(crate) fn after(
        &mut self,
        error: &NodeError,
        job: &Job,
        key: &Key,
        params: &Map<String, Value>,
        first: Duration,
    ) -> Next {
        let again = match error.cause {
            FailureCause::Memory => {
                let rule = job.retries.out_of_memory.as_ref().filter(|rule| self.memory < rule.times);
                let changed = rule.map(|rule| changes(rule, params)).unwrap_or_default();
                self.memory += 1;
                let any = !changed.is_empty();
                self.changed.extend(changed);
                any
            }
            FailureCause::Lost if self.transient >= job.retries.transient => {
                self.lost += 1;
                job.retries.transient == 0 && self.lost <= LOST
            }
            _ => {
                let may = error.outlook == Outlook::Passing && self.transient < job.retries.transient;
                self.transient += u32::from(may);
                may
            }
        };
        if !again {
            return Next::GiveUp;
        }
        self.number += 1;
        // Other parameters need no wait: it is not time that is to mend it.
        Next::Again(match error.cause {
            FailureCause::Memory => Duration::ZERO,
            _ => backoff(first, self.number - 1, key),
        })
    }
}

/// Perf parameters as the next attempt has them, as far as they differ from `params`.
fn changes(rule: &OutOfMemory, params: &Map<String, Value>) -> BTreeMap<String, Value> {
    let change = |(name, change): (&String, &PerfChange)| {
        let now = params.get(name)?;
        let next = change.of(now)?;
        (next != *now).then(|| (name.clone(), next))
    };
    rule.set.iter().filter_map(change).collect()
}

/// Wait before attempt `number + 1`: it doubles each time, and jobs that failed together come back apart, each always after
/// the same wait.
fn backoff(first: Duration, number: u32, key: &Key) -> Duration {
    let whole = first.saturating_mul(1_u32 << (number - 1).min(16)).min(LONGEST);
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.to_string().as_bytes()).update(&number.to_le_bytes());
    // Between a half and the whole of it.
    let jitter = f64::from(hasher.finalize().as_bytes()[0]) / 512.0;
    whole.mul_f64(1.0 - jitter)
}

/// Waits, unless somebody says stop.
pub(crate) fn wait(mut left: Duration, cancel: &Cancel) {
    while !left.is_zero() && !cancel.is_cancelled() {
        let step = left.min(TICK);
        std::thread::sleep(step);
        left -= step;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::Retries;
    use crate::world::World;

    fn job(retries: Retries) -> Job {
        let pipeline =
            World::new().build().job("a", "act", json!({}), &[]).with(|job| job.retries = retries).done();
        pipeline.jobs.into_iter().next().unwrap()
    }

    fn ends(job: &Job, errors: &[NodeError]) -> String {
        let mut tries = Tries::new();
        let key = Key::of_action(b"x");
        let mut params = json!({ "batch": 8, "rate": 3.0, "name": "x" }).as_object().unwrap().clone();
        let mut told = Vec::new();
        for error in errors {
            let next = tries.after(error, job, &key, &params, Duration::from_millis(8));
            params.extend(tries.changed.clone());
            told.push(match next {
                Next::GiveUp => "stop".to_owned(),
                Next::Again(wait) if wait.is_zero() => format!("again with {}", json!(tries.changed)),
                Next::Again(_) => "again".to_owned(),
            });
        }
        told.join(", ")
    }

    #[test]
    fn each_cause_has_its_own_rule() {
        let plain = job(Retries::default());
        let (lost, failed) = (NodeError::lost("lost"), NodeError::failed("x"));
        assert_eq!(ends(&plain, &[lost.clone(), lost.clone()]), "again, stop", "a lost device once, unasked");
        assert_eq!(ends(&plain, &[NodeError::device("busy")]), "stop");
        let twice = job(Retries { transient: 2, ..Retries::default() });
        assert_eq!(ends(&twice, &[lost.clone(), NodeError::device("busy"), lost]), "again, again, stop");
        assert_eq!(ends(&twice, &[failed.clone().outlook(Outlook::Passing), failed]), "again, stop");
        assert_eq!(ends(&twice, &[NodeError::data("x")]), "stop");
        assert_eq!(ends(&twice, &[NodeError::memory("full")]), "stop", "that is another rule");
    }

    #[test]
    fn memory_that_ran_out_changes_parameters_until_nothing_changes() {
        let set = |set: &[(&str, PerfChange)], times| {
            let set = set.iter().map(|(name, change)| ((*name).to_owned(), change.clone())).collect();
            job(Retries { out_of_memory: Some(OutOfMemory { times, set }), ..Retries::default() })
        };
        let full = || NodeError::memory("full");
        let halved = set(&[("batch", PerfChange::Half), ("name", PerfChange::Half)], 9);
        assert_eq!(
            ends(&halved, &[full(), full(), full(), full()]),
            r#"again with {"batch":4}, again with {"batch":2}, again with {"batch":1}, stop"#,
            "a batch of one cannot be halved"
        );
        let fixed = set(&[("rate", PerfChange::Value(json!(1))), ("absent", PerfChange::Half)], 1);
        assert_eq!(ends(&fixed, &[full(), full()]), r#"again with {"rate":1}, stop"#);
    }

    #[test]
    fn waits_grow_differ_between_jobs_and_are_always_the_same() {
        let first = Duration::from_millis(500);
        let waits = |key: &[u8]| (1..12).map(|n| backoff(first, n, &Key::of_action(key))).collect::<Vec<_>>();
        assert_eq!(waits(b"a"), waits(b"a"));
        assert_ne!(waits(b"a"), waits(b"b"));
        for (number, wait) in waits(b"a").into_iter().enumerate() {
            let whole = first.saturating_mul(1 << number).min(LONGEST);
            assert!(wait <= whole && wait >= whole / 2, "{number}: {wait:?}");
        }
        let cancel = Cancel::new();
        cancel.cancel();
        let start = std::time::Instant::now();
        wait(LONGEST, &cancel);
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
