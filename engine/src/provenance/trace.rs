//! The walk from an artifact up to the files of the user.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use celldag_cache::{Digest, Record, Store};

use super::search::{Runs, runs_of};
use super::{Made, Origin, Provenance, Work, WorkInput};
use crate::action::Action;
use crate::error::EngineError;
use crate::record::{InputFrom, JobRecord, RunRecord};

/// A job of a run.
struct Place {
    run: Rc<RunRecord>,
    job: usize,
    depth: usize,
}

/// What made the artifact with this digest; `None` when no run and no result of the store has it. Work that is more than
/// `depth` steps away is left out.
///
/// # Errors
/// When the runs or the store cannot be read.
pub fn provenance(store: &Store, digest: &Digest, depth: usize) -> Result<Option<Provenance>, EngineError> {
    provenance_in(store, &mut Runs::open(store)?, digest, depth)
}

/// [`provenance`] among runs that are open.
pub(super) fn provenance_in(
    store: &Store,
    runs: &mut Runs,
    digest: &Digest,
    depth: usize,
) -> Result<Option<Provenance>, EngineError> {
    let known = runs_of(runs, digest);
    let Some(newest) = known.first() else { return of_store(store, digest) };
    let Some((run, job, _)) = runs.maker(digest, None) else { return of_store(store, digest) };
    debug_assert_eq!(newest.id, run.header.id);
    let mut walk = Walk { store, runs, depth, cut: false, seen: BTreeSet::new(), open: VecDeque::new() };
    walk.enter(Place { run, job, depth: 0 });
    let mut works = Vec::new();
    while let Some(place) = walk.open.pop_front() {
        works.extend(walk.work(&place));
    }
    Ok(Some(Provenance { digest: *digest, runs: known, works, cut: walk.cut }))
}

struct Walk<'a> {
    store: &'a Store,
    runs: &'a mut Runs,
    depth: usize,
    cut: bool,
    /// Run and job.
    seen: BTreeSet<(String, String)>,
    open: VecDeque<Place>,
}

impl Walk<'_> {
    /// Puts a job on the list, once.
    fn enter(&mut self, place: Place) {
        let name = (place.run.header.id.clone(), place.run.jobs[place.job].id.clone());
        if place.depth > self.depth {
            self.cut |= !self.seen.contains(&name);
        } else if self.seen.insert(name) {
            self.open.push_back(place);
        }
    }

    fn work(&mut self, place: &Place) -> Option<Work> {
        let (run, job) = (&place.run, &place.run.jobs[place.job]);
        let (key, action) = (job.key?, job.action()?);
        let mut inputs = Vec::new();
        for (port, list) in &action.inputs {
            for input in list {
                let from = self.origin(place, job, port, &input.label, &input.digest);
                let (label, digest) = (input.label.clone(), input.digest.clone());
                inputs.push(WorkInput { port: port.clone(), label, digest, from });
            }
        }
        let record = self.store.record(&key).ok().flatten();
        Some(Work {
            depth: place.depth,
            run: run.header.id.clone(),
            job: job.id.clone(),
            node: job.node.clone(),
            coordinates: job.coordinates.clone(),
            key,
            inputs,
            outputs: job.outputs.iter().map(|(port, artifact)| (port.clone(), artifact.digest)).collect(),
            seconds: job.seconds,
            made: record.as_ref().map(made),
            warnings: job.summary.warnings.clone(),
            ..of_action(action, key)
        })
    }

    /// Where an input came from; what made it is put on the list.
    fn origin(&mut self, place: &Place, job: &JobRecord, port: &str, label: &str, digest: &str) -> Origin {
        let recorded = job.inputs.iter().find(|input| input.port == port && input.label == label);
        let run = &place.run;
        match recorded.map(|input| &input.from) {
            Some(InputFrom::Job { id, port }) => {
                if let Some(above) = run.jobs.iter().position(|other| other.id == *id) {
                    self.enter(Place { run: Rc::clone(run), job: above, depth: place.depth + 1 });
                }
                Origin::Work { run: run.header.id.clone(), job: id.clone(), port: port.clone() }
            }
            // What an earlier run or a single step wrote is a file to those who read it later.
            Some(InputFrom::File(path)) => {
                self.made_before(place, digest).unwrap_or_else(|| Origin::File { path: path.clone() })
            }
            None => self.made_before(place, digest).unwrap_or(Origin::Unknown),
        }
    }

    fn made_before(&mut self, place: &Place, digest: &str) -> Option<Origin> {
        let (run, job, port) = self.runs.maker(&digest.parse().ok()?, Some(&place.run.header.id))?;
        let from = Origin::Work { run: run.header.id.clone(), job: run.jobs[job].id.clone(), port };
        self.enter(Place { run, job, depth: place.depth + 1 });
        Some(from)
    }
}

/// What the store alone knows: a result without a run, as one that was fetched from a remote store.
fn of_store(store: &Store, digest: &Digest) -> Result<Option<Provenance>, EngineError> {
    let works: Vec<Work> = store.results_with(digest)?.iter().take(1).filter_map(work_of_record).collect();
    let found = !works.is_empty();
    Ok(found.then_some(Provenance { digest: *digest, runs: Vec::new(), works, cut: false }))
}

fn work_of_record(record: &Record) -> Option<Work> {
    let action = Action::from_value(&record.action_value())?;
    let inputs = action.inputs.iter().flat_map(|(port, list)| {
        list.iter().map(|input| WorkInput {
            port: port.clone(),
            label: input.label.clone(),
            digest: input.digest.clone(),
            from: Origin::Unknown,
        })
    });
    Some(Work {
        inputs: inputs.collect(),
        outputs: record.outputs.iter().map(|(port, artifact)| (port.clone(), artifact.digest)).collect(),
        seconds: record.seconds,
        made: Some(made(record)),
        ..of_action(action, record.key)
    })
}

/// The part of a work that its action tells.
fn of_action(action: Action, key: celldag_cache::Key) -> Work {
    Work {
        depth: 0,
        run: String::new(),
        job: String::new(),
        node: String::new(),
        coordinates: Default::default(),
        kind: action.kind,
        epoch: action.epoch,
        parts: action.parts,
        key,
        params: action.params,
        inputs: Vec::new(),
        outputs: Default::default(),
        seconds: 0.0,
        made: None,
        warnings: Vec::new(),
    }
}

fn made(record: &Record) -> Made {
    Made {
        created: record.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        host: record.host.clone(),
        version: record.version.clone(),
        execution: record.execution.as_object().cloned().unwrap_or_default(),
    }
}
