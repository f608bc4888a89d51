//! Writing a run folder: a unique, time-sortable id, and files that are whole or absent.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use celldag_cache::{Key, Store};
use jiff::Timestamp;
use serde::Serialize;

use super::alive::Alive;
use super::{JobRecord, OutputRecord, RECORD_FORMAT, RunHeader};
use crate::error::EngineError;

/// The folder of one run, made by [`RunFolder::create`].
#[derive(Debug)]
pub(crate) struct RunFolder {
    /// Id of the run.
    pub(crate) id: String,
    /// The folder.
    pub(crate) path: PathBuf,
    _alive: Alive,
}

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
                Ok(()) => return Ok(Self { _alive: Alive::claim(&path)?, id, path }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Keeps the text of the pipeline file and returns its BLAKE3; `None` when it cannot be read (a pipeline built in memory
    /// has no file).
    pub(crate) fn keep_pipeline(&self, file: &Path) -> Result<Option<String>, EngineError> {
        let Ok(text) = fs_err::read(file) else { return Ok(None) };
        self.replace("pipeline.yaml", |out| out.write_all(&text))?;
        Ok(Some(blake3::hash(&text).to_hex().to_string()))
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
        let temporary = self.path.join(format!(".{name}.new"));
        let mut out = BufWriter::new(fs_err::File::create(&temporary)?);
        write(&mut out)?;
        out.flush()?;
        fs_err::rename(&temporary, self.path.join(name))?;
        Ok(())
    }
}

/// UTC now, RFC 3339, to the millisecond.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
