//! Which runs have written or read a content.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use celldag_cache::{Digest, Store};

use super::RunOf;
use super::index::{Index, Maker};
use crate::error::EngineError;
use crate::record::{InputFrom, JobRecord, RunRecord, Scan};

/// The recorded runs of a store, read when they are asked for.
pub(super) struct Runs {
    scan: Scan,
    loaded: BTreeMap<String, Rc<RunRecord>>,
    index: Option<Index>,
}

impl Runs {
    pub(super) fn open(store: &Store) -> Result<Self, EngineError> {
        Ok(Self { scan: Scan::open(store)?, loaded: BTreeMap::new(), index: None })
    }

    /// The record of a run; `None` when it cannot be read, which must not keep others from being found.
    pub(super) fn get(&mut self, id: &str) -> Option<Rc<RunRecord>> {
        if let Some(run) = self.loaded.get(id) {
            return Some(Rc::clone(run));
        }
        let run = Rc::new(self.scan.whole(id)?);
        self.loaded.insert(id.to_owned(), Rc::clone(&run));
        Some(run)
    }

    /// Which runs have which content as a result. All records are read for it, once.
    fn index(&mut self) -> &Index {
        self.index.get_or_insert_with(|| Index::read(&self.scan))
    }

    /// The newest run before `before` with a job that has the content as a result.
    pub(super) fn maker(
        &mut self,
        digest: &Digest,
        before: Option<&str>,
    ) -> Option<(Rc<RunRecord>, usize, String)> {
        let mut makers: Vec<Maker> = self.index().makers(digest).to_vec();
        let ids = self.scan.ids();
        makers.retain(|maker| {
            before.is_none_or(|before| ids.get(maker.run).is_some_and(|id| id.as_str() < before))
        });
        for maker in makers {
            let id = self.scan.ids().get(maker.run)?.clone();
            // A record that was damaged or deleted since it was read is passed over.
            let Some(run) = self.get(&id) else { continue };
            if run.jobs.get(maker.job).is_some_and(|job| job.id == *maker.id) {
                return Some((run, maker.job, maker.port.to_string()));
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn reads(&self) -> usize {
        self.scan.reads.get()
    }
}

/// Runs that have the content as a result, newest first.
pub(super) fn runs_of(runs: &mut Runs, digest: &Digest) -> Vec<RunOf> {
    let makers: Vec<Maker> = runs.index().makers(digest).to_vec();
    let told = makers.into_iter().filter_map(|maker| {
        let header = runs.scan.header(runs.scan.ids().get(maker.run)?)?;
        Some(RunOf {
            id: header.id,
            started: header.started,
            pipeline: header.pipeline,
            file: header.file,
            pipeline_digest: header.text_digest,
            included: header.included,
            version: header.version,
            job: maker.id.to_string(),
            port: maker.port.to_string(),
            outcome: maker.outcome,
        })
    });
    told.collect()
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
    let scan = Scan::open(store)?;
    let text = digest.to_string();
    for id in scan.ids() {
        // A search in the text is far cheaper than reading thousands of jobs to no purpose.
        let Some(run) = scan.mentions(id, &text).then(|| scan.whole(id)).flatten() else { continue };
        let readers: Vec<Reader> = run.jobs.iter().flat_map(|job| reads(id, job, &text)).collect();
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
    let scan = Scan::open(store)?;
    for id in scan.ids() {
        let Some(run) = scan.whole(id) else { continue };
        let fits = run.outputs.iter().find(|output| path.starts_with(&output.path));
        if let Some(output) = fits {
            return Ok(Some(Writer {
                run: id.clone(),
                job: output.job.clone(),
                digest: output.artifact.digest,
                path: output.path.clone(),
            }));
        }
    }
    Ok(None)
}
