//! Which jobs of which runs have which content as a result.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use celldag_cache::{Artifact, Digest};
use serde::Deserialize;

use crate::record::{JobOutcome, Scan};

/// A job that has a content as a result.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    /// Place of its run among the ids of the scan.
    pub(super) run: usize,
    /// Its place among the jobs of the run.
    pub(super) job: usize,
    /// Its id.
    pub(super) id: Rc<str>,
    /// The output port.
    pub(super) port: Rc<str>,
    /// How it came to have it.
    pub(super) outcome: JobOutcome,
}

/// The little of a job that matters here.
#[derive(Deserialize)]
struct Entry {
    id: String,
    outcome: JobOutcome,
    outputs: BTreeMap<String, Artifact>,
}

/// Content → makers, newest run first. Of one run the job that computed it, else the first that took it from the store.
#[derive(Default)]
pub(super) struct Index {
    makers: BTreeMap<Digest, Vec<Maker>>,
    /// Runs of one pipeline have the same ids and ports, and there may be millions of makers.
    names: BTreeSet<Rc<str>>,
}

impl Index {
    /// Reads every record once.
    pub(super) fn read(scan: &Scan) -> Self {
        let mut index = Self::default();
        for (run, id) in scan.ids().iter().enumerate() {
            for (job, entry) in scan.jobs::<Entry>(id, u64::MAX).into_iter().flatten().enumerate() {
                index.add(run, job, &entry);
            }
        }
        index
    }

    /// Jobs that have the content as a result, newest run first.
    pub(super) fn makers(&self, digest: &Digest) -> &[Maker] {
        self.makers.get(digest).map(Vec::as_slice).unwrap_or_default()
    }

    fn add(&mut self, run: usize, job: usize, entry: &Entry) {
        if !matches!(entry.outcome, JobOutcome::Ran | JobOutcome::Hit) {
            return;
        }
        for (port, artifact) in &entry.outputs {
            let (id, port) = (self.name(&entry.id), self.name(port));
            let maker = Maker { run, job, id, port, outcome: entry.outcome };
            let list = self.makers.entry(artifact.digest).or_default();
            match list.last_mut().filter(|last| last.run == run) {
                None => list.push(maker),
                Some(last) if last.outcome == JobOutcome::Hit && entry.outcome == JobOutcome::Ran => {
                    *last = maker;
                }
                Some(_) => {}
            }
        }
    }

    fn name(&mut self, name: &str) -> Rc<str> {
        if let Some(known) = self.names.get(name) {
            return Rc::clone(known);
        }
        let name: Rc<str> = name.into();
        self.names.insert(Rc::clone(&name));
        name
    }
}
