//! Which runs have written or read a content.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use celldag_cache::{Digest, Store};

use super::RunOf;
use crate::error::EngineError;
use crate::record::{InputFrom, JobOutcome, JobRecord, RunRecord, ids, load_folder};

/// The recorded runs of a store, read when they are asked for.
pub(super) struct Runs {
    folder: PathBuf,
    /// Newest first.
    ids: Vec<String>,
    loaded: BTreeMap<String, Rc<RunRecord>>,
}

impl Runs {
    pub(super) fn open(store: &Store) -> Result<Self, EngineError> {
        let folder = store.runs_dir();
        Ok(Self { ids: ids(&folder)?, folder, loaded: BTreeMap::new() })
    }

    /// The record of a run; `None` when it cannot be read, which must not keep others from being found.
    pub(super) fn get(&mut self, id: &str) -> Option<Rc<RunRecord>> {
        if let Some(run) = self.loaded.get(id) {
            return Some(Rc::clone(run));
        }
        let run = Rc::new(load_folder(&self.folder.join(id)).ok()?);
        self.loaded.insert(id.to_owned(), Rc::clone(&run));
        Some(run)
    }

    /// Runs whose jobs mention the digest, newest first; only those before `before`, if given.
    fn mentioning(&self, digest: &str, before: Option<&str>) -> Vec<String> {
        let candidates = self.ids.iter().filter(|id| before.is_none_or(|before| id.as_str() < before));
        let mentions = |id: &&String| {
            // A search in the text is far cheaper than reading thousands of jobs to no purpose.
            fs_err::read_to_string(self.folder.join(id).join("jobs.json"))
                .is_ok_and(|text| text.contains(digest))
        };
        candidates.filter(mentions).cloned().collect()
    }

    /// The newest run before `before` with a job that has the content as a result.
    pub(super) fn maker(
        &mut self,
        digest: &str,
        before: Option<&str>,
    ) -> Option<(Rc<RunRecord>, usize, String)> {
        for id in self.mentioning(digest, before) {
            let Some(run) = self.get(&id) else { continue };
            if let Some((job, port)) = output(&run, digest) {
                return Some((run, job, port));
            }
        }
        None
    }
}

/// The job of a run that has the content as a result: one that computed it before one that took it from the store.
fn output(run: &RunRecord, digest: &str) -> Option<(usize, String)> {
    let fits = |job: &JobRecord| {
        let found = job.outputs.iter().find(|(_, artifact)| artifact.digest.to_string() == digest);
        found.map(|(port, _)| port.clone())
    };
    let mut hit = None;
    for (index, job) in run.jobs.iter().enumerate() {
        match (job.outcome, fits(job)) {
            (JobOutcome::Ran, Some(port)) => return Some((index, port)),
            (JobOutcome::Hit, Some(port)) if hit.is_none() => hit = Some((index, port)),
            _ => {}
        }
    }
    hit
}

pub(super) fn runs_of(runs: &mut Runs, digest: &Digest) -> Vec<RunOf> {
    let text = digest.to_string();
    let mut found = Vec::new();
    for id in runs.mentioning(&text, None) {
        let Some(run) = runs.get(&id) else { continue };
        // One record at a time: all of them may not fit into memory.
        runs.loaded.clear();
        let Some((index, port)) = output(&run, &text) else { continue };
        let header = &run.header;
        found.push(RunOf {
            id: header.id.clone(),
            started: header.started.clone(),
            pipeline: header.pipeline.clone(),
            file: header.file.clone(),
            pipeline_digest: header.text_digest.clone(),
            version: header.version.clone(),
            job: run.jobs[index].id.clone(),
            port,
            outcome: run.jobs[index].outcome,
        });
    }
    found
}

/// A job that read a content from a file of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The run.
    pub run: String,
    /// Its job.
    pub job: String,
    /// The port.
    pub port: String,
    /// Where the file was.
    pub path: PathBuf,
}

/// Jobs that read this content from a file, of the newest run that did.
///
/// # Errors
/// When the runs cannot be listed.
pub fn readers(store: &Store, digest: &Digest) -> Result<Vec<Reader>, EngineError> {
    let mut runs = Runs::open(store)?;
    let text = digest.to_string();
    for id in runs.mentioning(&text, None) {
        let Some(run) = runs.get(&id) else { continue };
        let readers: Vec<Reader> = run.jobs.iter().flat_map(|job| reads(&id, job, &text)).collect();
        if !readers.is_empty() {
            return Ok(readers);
        }
    }
    Ok(Vec::new())
}

fn reads(run: &str, job: &JobRecord, digest: &str) -> Vec<Reader> {
    let Some(action) = job.action() else { return Vec::new() };
    let same = |port: &str, label: &str| {
        let list = action.inputs.get(port).into_iter().flatten();
        list.into_iter().any(|input| input.label == label && input.digest == digest)
    };
    let read = job.inputs.iter().filter_map(|input| match &input.from {
        InputFrom::File(path) if same(&input.port, &input.label) => Some(Reader {
            run: run.to_owned(),
            job: job.id.clone(),
            port: input.port.clone(),
            path: path.clone(),
        }),
        _ => None,
    });
    read.collect()
}

/// A run that wrote to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The run.
    pub run: String,
    /// Its job.
    pub job: String,
    /// What it wrote.
    pub digest: Digest,
    /// Where: the path asked for, or a folder that holds it.
    pub path: PathBuf,
}

/// The newest run that wrote to this absolute path, or to a folder that holds it.
///
/// # Errors
/// When the runs cannot be listed.
pub fn writers(store: &Store, path: &std::path::Path) -> Result<Option<Writer>, EngineError> {
    let mut runs = Runs::open(store)?;
    for id in runs.ids.clone() {
        let Some(run) = runs.get(&id) else { continue };
        let fits = run.outputs.iter().find(|output| path.starts_with(&output.path));
        if let Some(output) = fits {
            return Ok(Some(Writer {
                run: id,
                job: output.job.clone(),
                digest: output.artifact.digest,
                path: output.path.clone(),
            }));
        }
        runs.loaded.clear();
    }
    Ok(None)
}
