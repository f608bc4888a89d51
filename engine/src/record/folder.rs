//! Writing a run folder: a unique, time-sortable id, and files that are whole or absent.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use celldag_cache::{Key, Store};
use jiff::Timestamp;
use serde::Serialize;

use super::alive::Alive;
use super::included::from_folder;
use super::{IncludedFile, JobRecord, OutputRecord, RECORD_FORMAT, RunHeader};
use crate::error::EngineError;

/// The folder of one run, made by [`RunFolder::create`].
#[derive(Debug)]
pub(crate) struct RunFolder {
    /// Id of the run; empty without a folder.
    pub(crate) id: String,
    /// The folder, if the run has one.
    pub(crate) path: Option<PathBuf>,
    _alive: Option<Alive>,
}

/// Folder of the texts of included files, named by their BLAKE3.
pub(super) const INCLUDED: &str = "included";

/// `jobs.json`.
#[derive(Serialize)]
struct Jobs<'a> {
    format: &'a str,
    jobs: &'a [JobRecord],
    outputs: &'a [OutputRecord],
}

impl RunFolder {
    /// Makes a folder with a fresh id: UTC time to the millisecond, then four digits that tell runs of the same
    /// millisecond apart.
    pub(crate) fn create(store: &Store) -> Result<Self, EngineError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let runs = store.runs_dir();
        fs_err::create_dir_all(&runs)?;
        loop {
            let now = Timestamp::now();
            let seed = format!(
                "{} {} {}",
                std::process::id(),
                now.as_nanosecond(),
                COUNTER.fetch_add(1, Ordering::Relaxed)
            );
            let tail = &blake3::hash(seed.as_bytes()).to_hex()[..4];
            let id = format!("{}-{tail}", now.strftime("%Y%m%dT%H%M%S.%3f"));
            let path = runs.join(&id);
            match fs_err::create_dir(&path) {
                Ok(()) => return Ok(Self { _alive: Some(Alive::claim(&path)?), id, path: Some(path) }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Of a run that leaves no record.
    pub(crate) fn none() -> Self {
        Self { id: String::new(), path: None, _alive: None }
    }

    /// Keeps the text of the pipeline file and returns its BLAKE3; `None` when it cannot be read (a pipeline built in memory
    /// has no file).
    pub(crate) fn keep_pipeline(&self, file: &Path) -> Result<Option<String>, EngineError> {
        let Ok(text) = fs_err::read(file) else { return Ok(None) };
        self.replace("pipeline.yaml", |out| out.write_all(&text))?;
        Ok(Some(blake3::hash(&text).to_hex().to_string()))
    }

    /// Keeps the texts of included files by their content, and names them from the folder of the pipeline on.
    pub(crate) fn keep_included(
        &self,
        root: &Path,
        files: &[PathBuf],
    ) -> Result<Vec<IncludedFile>, EngineError> {
        let mut kept: Vec<IncludedFile> = Vec::new();
        for file in files {
            let path = from_folder(root, file);
            // A file may be included several times, with different parameters.
            if kept.iter().any(|known| known.path == path) {
                continue;
            }
            let mut digest = None;
            if let Ok(text) = fs_err::read(file) {
                let name = blake3::hash(&text).to_hex().to_string();
                // Without a folder there is no record to keep it in.
                if let Some(folder) = &self.path {
                    fs_err::create_dir_all(folder.join(INCLUDED))?;
                    fs_err::write(folder.join(INCLUDED).join(&name), text)?;
                }
                digest = Some(name);
            }
            kept.push(IncludedFile { path, digest });
        }
        Ok(kept)
    }

    /// Writes `run.json`, whole.
    pub(crate) fn write_header(&self, header: &RunHeader) -> Result<(), EngineError> {
        self.replace("run.json", |out| serde_json::to_writer_pretty(out, header).map_err(Into::into))
    }

    /// Writes `jobs.json`, one job a line, and `used.json`. Neither is synced to disk: results are in the store
    /// already, and a record that a power cut tears is reported as unreadable.
    pub(crate) fn write_jobs(&self, jobs: &[JobRecord], outputs: &[OutputRecord]) -> Result<(), EngineError> {
        self.replace("jobs.json", |out| {
            serde_json::to_writer(out, &Jobs { format: RECORD_FORMAT, jobs, outputs }).map_err(Into::into)
        })?;
        let mut keys: Vec<Key> = jobs.iter().filter_map(|job| job.key).collect();
        keys.sort_unstable();
        keys.dedup();
        self.replace("used.json", |out| serde_json::to_writer(out, &keys).map_err(Into::into))
    }

    fn replace(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<fs_err::File>) -> std::io::Result<()>,
    ) -> Result<(), EngineError> {
        let Some(folder) = &self.path else { return Ok(()) };
        let temporary = folder.join(format!(".{name}.new"));
        let mut out = BufWriter::new(fs_err::File::create(&temporary)?);
        write(&mut out)?;
        out.flush()?;
        fs_err::rename(&temporary, folder.join(name))?;
        Ok(())
    }
}

/// UTC now, RFC 3339, to the millisecond.
pub(crate) fn now() -> String {
    time(Timestamp::now())
}

/// A time as records have it: UTC, RFC 3339, to the millisecond.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
