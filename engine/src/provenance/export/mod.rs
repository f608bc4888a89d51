//! A recorded run in the formats that archives and other programs read: Provenance Run Crate and PROV-JSON.
//!
//! What leaves the machine is meant for others: paths are relative to the pipeline's folder, of files elsewhere only the name
//! is told, and neither host nor user. Artifacts that do not travel along are named by their content.

mod names;
mod prov_json;
mod ro_crate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_cache::{Artifact, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::action::Action;
use crate::record::{InputFrom, JobOutcome, JobRecord, RunRecord};

pub use prov_json::prov_json;
pub use ro_crate::{Crate, ro_crate};

/// A run with everything that an export tells about it.
pub struct Export<'a> {
    run: &'a RunRecord,
    jobs: Vec<Exported<'a>>,
    /// Outputs of the pipeline: path in the crate → where it is in the record.
    outputs: Vec<(String, usize)>,
}

/// A job that was computed, taken from the store, or failed.
struct Exported<'a> {
    job: &'a JobRecord,
    action: Action,
    /// When its computation began and ended; absent when the store has forgotten it.
    times: Option<(String, String)>,
}

impl<'a> Export<'a> {
    /// Collects what the record and the store know.
    #[must_use]
    pub fn new(store: &Store, run: &'a RunRecord) -> Self {
        let began = |job: &&JobRecord| job.outcome != JobOutcome::Skipped;
        let exported =
            |job: &'a JobRecord| Some(Exported { job, action: job.action()?, times: times(store, job) });
        let jobs = run.jobs.iter().filter(began).filter_map(exported).collect();
        Self { run, jobs, outputs: outputs(run) }
    }

    /// Artifacts of the pipeline's outputs with their paths in a crate.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &Artifact)> {
        self.outputs.iter().map(|(path, index)| (path.as_str(), &self.run.outputs[*index].artifact))
    }

    /// A path as others may see it: relative to the pipeline's folder, or only the name.
    fn shown(&self, path: &Path) -> String {
        let root = &self.run.header.root;
        let inside = if root.as_os_str().is_empty() { None } else { path.strip_prefix(root).ok() };
        let name =
            || path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
        inside.map_or_else(name, |path| path.to_string_lossy().into_owned())
    }

    /// Files of the user: digest → name as shown.
    fn sources(&self) -> BTreeMap<String, String> {
        let mut sources = BTreeMap::new();
        for one in &self.jobs {
            for input in &one.job.inputs {
                let InputFrom::File(path) = &input.from else { continue };
                let list = one.action.inputs.get(&input.port).into_iter().flatten();
                for found in list.filter(|found| found.label == input.label) {
                    sources.entry(found.digest.clone()).or_insert_with(|| self.shown(path));
                }
            }
        }
        sources
    }

    /// A message without the folder that it speaks of.
    fn discreet(&self, message: &str) -> String {
        let root = self.run.header.root.to_string_lossy();
        if root.len() < 2 { message.to_owned() } else { message.replace(root.as_ref(), ".") }
    }
}

/// Content as a URI that says what it is wherever it is.
fn hash_uri(digest: &str) -> String {
    format!("hash://blake3/{digest}")
}

/// A value of a parameter as text.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A failed job has no result, but its events tell when it failed; what the store does not know is left out.
fn times(store: &Store, job: &JobRecord) -> Option<(String, String)> {
    let record = store.record(&job.key?).ok().flatten()?;
    let work = SignedDuration::try_from_secs_f64(record.seconds).ok()?;
    let began = record.created.checked_sub(work).ok()?;
    let text = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    Some((text(began), text(record.created)))
}

/// Outputs relative to the pipeline's folder; where `--out` led elsewhere, to the folder that holds all of them.
fn outputs(run: &RunRecord) -> Vec<(String, usize)> {
    let root = &run.header.root;
    let paths = || run.outputs.iter().map(|output| output.path.as_path());
    let inside = !root.as_os_str().is_empty() && paths().all(|path| path.starts_with(root));
    let base = if inside { root.clone() } else { common(paths()) };
    let shown = |(index, path): (usize, &Path)| {
        let path = path.strip_prefix(&base).unwrap_or(path);
        let parts: Vec<_> = path
            .components()
            .filter_map(|part| match part {
                std::path::Component::Normal(name) => Some(name.to_string_lossy()),
                _ => None,
            })
            .collect();
        (parts.join("/"), index)
    };
    paths().enumerate().map(shown).collect()
}

fn common<'p>(paths: impl Iterator<Item = &'p Path>) -> PathBuf {
    let folders = paths.map(|path| path.parent().unwrap_or(path).to_path_buf());
    folders
        .reduce(|mut common, folder| {
            while !folder.starts_with(&common) {
                if !common.pop() {
                    break;
                }
            }
            common
        })
        .unwrap_or_default()
}
