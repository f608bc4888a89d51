//! The recorded runs of a store from the newest on, each read when somebody wants it and as far as they want it.
//!
//! A record may hold hundreds of thousands of jobs, most of it their actions. Who only wants to know times or digests says so
//! by the type that the jobs are read as, and everything else is passed over.

use std::path::PathBuf;

use celldag_cache::Store;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::load::{ids, load_folder, read_header};
use super::{RECORD_FORMAT, RunHeader, RunRecord};
use crate::error::EngineError;

/// `jobs.json`, as far as it is wanted.
#[derive(Deserialize)]
struct Jobs<J> {
    format: String,
    jobs: Vec<J>,
}

/// The recorded runs of a store.
#[derive(Debug)]
pub(crate) struct Scan {
    folder: PathBuf,
    ids: Vec<String>,
    /// How often the jobs of a run were read, in part or as a whole.
    #[cfg(test)]
    pub(crate) reads: std::cell::Cell<usize>,
}

impl Scan {
    /// Lists the runs.
    pub(crate) fn open(store: &Store) -> Result<Self, EngineError> {
        let folder = store.runs_dir();
        let ids = ids(&folder)?;
        Ok(Self {
            folder,
            ids,
            #[cfg(test)]
            reads: Default::default(),
        })
    }

    /// Ids, newest first.
    pub(crate) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// A run without its jobs. `None` when it cannot be read: a damaged record must not keep others from being found.
    pub(crate) fn header(&self, id: &str) -> Option<RunHeader> {
        read_header(&self.folder.join(id)).ok()
    }

    /// The jobs of a run, if its record has at most `most` bytes. `None` for larger and for damaged ones, and for runs that
    /// were killed.
    pub(crate) fn jobs<J: DeserializeOwned>(&self, id: &str, most: u64) -> Option<Vec<J>> {
        let path = self.folder.join(id).join("jobs.json");
        fs_err::metadata(&path).ok().filter(|meta| meta.len() <= most)?;
        self.count();
        let read: Jobs<J> = serde_json::from_slice(&fs_err::read(path).ok()?).ok()?;
        (read.format == RECORD_FORMAT).then_some(read.jobs)
    }

    /// Whether the jobs of a run mention a digest.
    pub(crate) fn mentions(&self, id: &str, digest: &str) -> bool {
        let path = self.folder.join(id).join("jobs.json");
        fs_err::read_to_string(path).is_ok_and(|text| text.contains(digest))
    }

    /// Everything about a run. `None` when it cannot be read.
    pub(crate) fn whole(&self, id: &str) -> Option<RunRecord> {
        self.count();
        load_folder(&self.folder.join(id)).ok()
    }

    fn count(&self) {
        #[cfg(test)]
        self.reads.set(self.reads.get() + 1);
    }
}
