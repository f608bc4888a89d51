//! A recorded run in the formats that archives and other programs read: Provenance Run Crate and PROV-JSON.
//!
//! What leaves the machine is meant for others: paths are relative to the pipeline's folder, of files elsewhere only the name
//! is told, and neither host nor user nor the values of secrets (`discreet.rs`). Artifacts that do not travel along are
//! named by their content.

mod discreet;
mod failures;
mod names;
mod prov_json;
mod ro_crate;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use celldag_cache::{Artifact, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::action::Action;
use crate::record::{InputFrom, JobOutcome, JobRecord, RunRecord};
use crate::short;

use discreet::Discreet;
pub use prov_json::prov_json;
pub use ro_crate::{Crate, ro_crate};

/// A run with everything that an export tells about it.
pub struct Export<'a> {
    run: &'a RunRecord,
    /// Name of the pipeline.
    pipeline: String,
    jobs: Vec<Exported<'a>>,
    /// Files of the user: digest → name as shown.
    sources: BTreeMap<String, String>,
    /// Outputs of the pipeline: path in the crate → where it is in the record.
    outputs: Vec<(String, usize)>,
}

/// A job that was computed, taken from the store, or failed.
struct Exported<'a> {
    job: &'a JobRecord,
    /// Its id without paths of the machine; still unique.
    id: String,
    /// Its action with parameters and labels without them.
    action: Action,
    /// Why it failed.
    error: Option<String>,
    /// When its computation began and ended; absent when the store has forgotten it.
    times: Option<(String, String)>,
}

impl<'a> Export<'a> {
    /// Collects what the record and the store know.
    #[must_use]
    pub fn new(store: &Store, run: &'a RunRecord) -> Self {
        let discreet = Discreet::new(run);
        let failed = failures::times(run);
        let mut ids = Unique::default();
        let mut sources = BTreeMap::new();
        let mut jobs = Vec::new();
        for job in run.jobs.iter().filter(|job| job.outcome != JobOutcome::Skipped) {
            let Some(action) = job.action() else { continue };
            add_sources(&mut sources, job, &action, &discreet);
            jobs.push(Exported {
                job,
                id: ids.name(discreet.text(&job.id)),
                action: without_paths(action, &discreet),
                error: job.failure.as_ref().map(|failure| discreet.text(&failure.message)),
                times: times(store, job).or_else(|| failed.get(job.id.as_str()).cloned()),
            });
        }
        let pipeline = discreet.text(&run.header.pipeline);
        Self { run, pipeline, jobs, sources, outputs: outputs(run, &discreet) }
    }

    /// Artifacts of the pipeline's outputs with their paths in a crate.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &Artifact)> {
        self.outputs.iter().map(|(path, index)| (path.as_str(), &self.run.outputs[*index].artifact))
    }

    /// Included files whose text was kept, with their paths in a crate: those of the pipeline's folder where they were, those
    /// of other folders below `included/`.
    pub fn included(&self) -> impl Iterator<Item = (String, &str)> {
        let files = self.run.header.included.iter().flatten();
        files.filter_map(|file| {
            let digest = file.digest.as_deref()?;
            let inside = !file.path.starts_with('/') && file.path.split('/').all(|part| part != "..");
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let path = if inside { file.path.clone() } else { format!("included/{}-{name}", short(digest)) };
            Some((path, digest))
        })
    }
}

/// Names that are told apart by a number where they would be the same.
#[derive(Default)]
struct Unique(BTreeSet<String>);

impl Unique {
    fn name(&mut self, name: String) -> String {
        let numbered = (2..).map(|number| format!("{number}/{name}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(name);
        self.0.insert(free.clone());
        free
    }
}

/// Files of the user on the inputs of a job.
fn add_sources(
    sources: &mut BTreeMap<String, String>,
    job: &JobRecord,
    action: &Action,
    discreet: &Discreet,
) {
    for input in &job.inputs {
        let InputFrom::File(path) = &input.from else { continue };
        let list = action.inputs.get(&input.port).into_iter().flatten();
        for found in list.filter(|found| found.label == input.label) {
            sources.entry(found.digest.clone()).or_insert_with(|| discreet.path(path));
        }
    }
}

/// Paths are labels where files are listed, and arguments of programs.
fn without_paths(mut action: Action, discreet: &Discreet) -> Action {
    for value in action.params.values_mut() {
        *value = discreet.value(value);
    }
    for input in action.inputs.values_mut().flatten() {
        input.label = discreet.text(&input.label);
    }
    action
}

/// Content as a URI that says what it is wherever it is.
fn hash_uri(digest: &str) -> String {
    format!("hash://blake3/{digest}")
}

/// A value of a parameter as text.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// When the result of a job was computed; absent when there is none, or when the store has forgotten it.
fn times(store: &Store, job: &JobRecord) -> Option<(String, String)> {
    let record = store.record(&job.key?).ok().flatten()?;
    let work = SignedDuration::try_from_secs_f64(record.seconds).ok()?;
    let began = record.created.checked_sub(work).ok()?;
    let text = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    Some((text(began), text(record.created)))
}

/// Outputs relative to the pipeline's folder; those that `--out` put elsewhere relative to the folder that holds all of
/// them, or by their names where that folder says where the pipeline or the user is at home.
fn outputs(run: &RunRecord, discreet: &Discreet) -> Vec<(String, usize)> {
    let paths = || run.outputs.iter().map(|output| output.path.as_path());
    let base = common(paths().filter(|path| !discreet.is_inside(path)));
    let mut names = Unique::default();
    let mut shown = Vec::new();
    for (index, path) in paths().enumerate() {
        let name = match path.strip_prefix(&base) {
            Ok(rest) if !discreet.is_inside(path) && !discreet.is_above(&base) => in_folder(rest),
            _ => discreet.path(path),
        };
        shown.push((names.name(name), index));
    }
    shown
}

fn in_folder(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
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
