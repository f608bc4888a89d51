//! Finding and reading recorded runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use celldag_cache::Store;
use serde::Deserialize;

use super::killed::KilledRuns;
use super::{JobRecord, OutputRecord, RECORD_FORMAT, RunHeader, RunRecord, RunStatus};
use crate::error::EngineError;

/// `jobs.json`.
#[derive(Deserialize)]
struct Jobs {
    format: String,
    jobs: Vec<JobRecord>,
    outputs: Vec<OutputRecord>,
}

/// All recorded runs, newest first. Folders without a readable header are left out.
///
/// # Errors
/// When the folder of runs cannot be listed.
pub fn list(store: &Store) -> Result<Vec<RunHeader>, EngineError> {
    list_again(store, &KilledRuns::default())
}

/// [`list`] for who asks again: the events of killed runs are read once.
///
/// # Errors
/// As [`list`].
pub fn list_again(store: &Store, killed: &KilledRuns) -> Result<Vec<RunHeader>, EngineError> {
    let runs = store.runs_dir();
    let mut headers: Vec<RunHeader> = Vec::new();
    let mut folders = BTreeSet::new();
    for id in ids(&runs)? {
        let folder = runs.join(&id);
        match read_header(&folder) {
            Ok(mut header) => {
                killed.settle(&folder, &mut header);
                headers.push(header);
            }
            Err(e) => tracing::debug!("run {id} is left out: {e}"),
        }
        folders.insert(folder);
    }
    killed.keep(&folders);
    Ok(headers)
}

/// The id of the newest run of the same pipeline before this one that has ended with its jobs on record: what a run can be
/// compared with. Only headers are read, from this run back to the one that is found.
///
/// # Errors
/// When the folder of runs cannot be listed.
pub fn ended_before(store: &Store, run: &RunHeader) -> Result<Option<String>, EngineError> {
    let runs = store.runs_dir();
    let fits = |id: &String| {
        let folder = runs.join(id);
        // A killed run says `running` for ever.
        let fits = |other: RunHeader| other.pipeline == run.pipeline && other.status != RunStatus::Running;
        read_header(&folder).is_ok_and(fits) && folder.join("jobs.json").is_file()
    };
    Ok(ids(&runs)?.into_iter().filter(|id| *id < run.id).find(fits))
}

/// The run with this id, with an id that begins so, or the newest one (`last`).
///
/// # Errors
/// When no run or several runs fit, or the record is unreadable.
pub fn load(store: &Store, wanted: &str) -> Result<RunRecord, EngineError> {
    load_folder(&find(store, wanted)?)
}

/// The same without its jobs and outputs, which may be hundreds of thousands; and the folder of its record.
///
/// # Errors
/// As [`load`].
pub fn load_header(store: &Store, wanted: &str) -> Result<(RunHeader, PathBuf), EngineError> {
    load_header_again(store, wanted, &KilledRuns::default())
}

/// [`load_header`] for who asks again: the events of killed runs are read once.
///
/// # Errors
/// As [`load`].
pub fn load_header_again(
    store: &Store,
    wanted: &str,
    killed: &KilledRuns,
) -> Result<(RunHeader, PathBuf), EngineError> {
    let folder = find(store, wanted)?;
    let mut header = read_header(&folder)?;
    killed.settle(&folder, &mut header);
    Ok((header, folder))
}

fn find(store: &Store, wanted: &str) -> Result<PathBuf, EngineError> {
    let runs = store.runs_dir();
    let ids = ids(&runs)?;
    let none = || EngineError::NoRun { wanted: wanted.to_owned() };
    if wanted == "last" {
        return Ok(runs.join(ids.first().ok_or_else(none)?));
    }
    let fits: Vec<&String> = ids.iter().filter(|id| id.starts_with(wanted) && !wanted.is_empty()).collect();
    match fits.as_slice() {
        [] => Err(none()),
        [one] => Ok(runs.join(one)),
        several if several.iter().any(|id| *id == wanted) => Ok(runs.join(wanted)),
        several => Err(EngineError::AmbiguousRun {
            wanted: wanted.to_owned(),
            fits: several.iter().map(|id| (*id).clone()).collect(),
        }),
    }
}

/// Names of run folders, newest first.
pub(crate) fn ids(runs: &Path) -> Result<Vec<String>, EngineError> {
    let entries = match fs_err::read_dir(runs) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A folder without a header is a run that was killed in its first instant.
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().join("run.json").is_file()
        {
            ids.push(name);
        }
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    Ok(ids)
}

/// Reads `run.json` of a folder.
pub(crate) fn read_header(folder: &Path) -> Result<RunHeader, EngineError> {
    let path = folder.join("run.json");
    let unreadable = |why: String| EngineError::Record { path: path.clone(), why };
    let bytes = fs_err::read(&path)?;
    let header: RunHeader = serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
    if header.format != RECORD_FORMAT {
        return Err(unreadable(format!(
            "its format is {}, this celldag reads {RECORD_FORMAT}",
            header.format
        )));
    }
    Ok(header)
}

/// Reads `jobs.json` of a folder; nothing when the run was killed before it was written.
pub(crate) fn read_jobs(folder: &Path) -> Result<(Vec<JobRecord>, Vec<OutputRecord>), EngineError> {
    let path = folder.join("jobs.json");
    let bytes = match fs_err::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(e) => return Err(e.into()),
    };
    let jobs: Jobs = serde_json::from_slice(&bytes)
        .map_err(|e| EngineError::Record { path: path.clone(), why: e.to_string() })?;
    if jobs.format != RECORD_FORMAT {
        let why = format!("its format is {}, this celldag reads {RECORD_FORMAT}", jobs.format);
        return Err(EngineError::Record { path, why });
    }
    Ok((jobs.jobs, jobs.outputs))
}

pub(crate) fn load_folder(folder: &Path) -> Result<RunRecord, EngineError> {
    let mut header = read_header(folder)?;
    KilledRuns::default().settle(folder, &mut header);
    let (jobs, outputs) = read_jobs(folder)?;
    Ok(RunRecord { header, jobs, outputs, folder: folder.to_path_buf() })
}
