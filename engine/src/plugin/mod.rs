//! Kinds that live in an executable of their own: it answers `EXE describe` with what it takes and gives, and `EXE run
//! REQUEST.json` with the work. In pipelines, lists, schemas, keys and errors they are kinds like all others.

mod describe;
mod events;
mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use celldag_cache::digest_file;

use crate::exec::environment::{Folders, base, outputs_folder, secret_values};
use crate::exec::{code, failure, gpus, printed};
use crate::kind::{Kind, KindSpec};
use crate::param::Params;
use crate::process::{Captured, Log, Program, run};
use crate::registry::Registered;
use crate::step::{FailureCause, LOG_FILE, NodeError, Outlook, Step};
use describe::Description;
use events::Events;

/// Versions of what celldag and an executable say to each other. The second added the causes `memory`, `lost` and
/// `transient`, and `gpus` and `main_memory` of the request. An executable of the first needs nothing of it, and one of the
/// second is refused by a celldag that would not understand it.
pub(crate) const PROTOCOLS: std::ops::RangeInclusive<u32> = 1..=2;
/// Longest time that an executable may take to describe itself.
const LIMIT: Duration = Duration::from_secs(30);

/// An executable that cannot be used as a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be used as a kind: {why}", path.display())]
pub struct PluginError {
    /// The executable.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// A kind in an executable.
struct PluginKind {
    spec: KindSpec,
    path: PathBuf,
    /// Version of the protocol that the executable speaks.
    protocol: u32,
    /// Files that the executable reads of itself, relative to its folder.
    code: Vec<String>,
    secrets: Vec<String>,
    /// Digests that are in the keys: read once, however many jobs there are.
    known: OnceLock<Result<BTreeMap<String, String>, NodeError>>,
}

/// The kind that the executable at `path` describes. Its name is the file's name without extension.
///
/// # Errors
/// When it cannot be run, or says something that cannot be true.
pub(crate) fn load(path: &Path) -> Result<Registered, PluginError> {
    let wrong = |why: String| PluginError { path: path.to_owned(), why };
    let said = ask(path).map_err(|e| wrong(e.message))?;
    let Description { spec, protocol, code, secrets } =
        describe::read(&said, &kind_name(path)).map_err(wrong)?;
    Ok(Registered::new(PluginKind {
        spec,
        path: path.to_owned(),
        protocol,
        code,
        secrets,
        known: OnceLock::new(),
    }))
}

/// The name of the kind that a file holds.
pub(crate) fn kind_name(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Executables in a folder, by the name of their kind; hidden files and what nobody may run are none.
pub(crate) fn executables(folder: &Path) -> BTreeMap<String, PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .filter(|path| {
            fs_err::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
        .map(|path| (kind_name(&path), path))
        .filter(|(name, _)| !name.is_empty() && !name.starts_with('.'))
        .collect()
}

fn ask(path: &Path) -> Result<String, NodeError> {
    let io = |e: std::io::Error| NodeError::failed(format!("its description cannot be asked for: {e}"));
    let scratch = tempfile::tempdir().map_err(io)?;
    let folders = Folders::create(scratch.path()).map_err(io)?;
    let program = Program {
        argv: vec![path.into(), "describe".into()],
        env: base(&folders),
        folder: folders.work,
        outputs: folders.code,
    };
    let name = format!("{} describe", kind_name(path));
    let answer = scratch.path().join("answer");
    let stdout = Captured::new(Log::create(&answer, &name, &[]).map_err(io)?);
    let stderr = Captured::new(Log::in_memory(&name, &[]));
    let begin = Instant::now();
    let ended = run(&program, (&stdout, Some(&stderr)), &|| begin.elapsed() > LIMIT);
    if begin.elapsed() > LIMIT {
        return Err(NodeError::failed(format!("`{name}` did not answer within {} s", LIMIT.as_secs())));
    }
    failure::check(&name, ended, &stderr)?;
    fs_err::read_to_string(answer).map_err(io)
}

impl PluginKind {
    /// File → digest, of everything that the executable consists of.
    fn digests(&self) -> Result<BTreeMap<String, String>, NodeError> {
        let gone = |e: &dyn std::fmt::Display| {
            NodeError::data(format!("kind `{}` cannot be used: {e}", self.spec.name))
                .outlook(Outlook::Unknown)
                .help("the executable, and every file under `code` of its description, must be there")
        };
        let digest =
            |path: &Path| digest_file(path).map(|(digest, _)| digest.to_string()).map_err(|e| gone(&e));
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        // By kind and not by file name: renaming the file is no reason to compute again.
        let mut digests = BTreeMap::from([("executable".to_owned(), digest(&self.path)?)]);
        for name in &self.code {
            let path = folder.join(name);
            let files = if path.is_dir() { code::files(&path)? } else { vec![PathBuf::new()] };
            for file in files {
                let whole = if file.as_os_str().is_empty() { path.clone() } else { path.join(&file) };
                let shown = whole.strip_prefix(folder).unwrap_or(&whole).display().to_string();
                digests.insert(shown, digest(&whole)?);
            }
        }
        Ok(digests)
    }
}

impl Kind for PluginKind {
    fn spec(&self) -> KindSpec {
        self.spec.clone()
    }

    fn executable(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }

    fn program(&self, _params: &Params) -> Result<BTreeMap<String, String>, NodeError> {
        self.known.get_or_init(|| self.digests()).clone()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let io = |e: std::io::Error| NodeError::failed(format!("cannot prepare the program's folders: {e}"));
        let folders = Folders::create(step.scratch).map_err(io)?;
        let secrets = secret_values(&self.secrets)?;
        let masked: Vec<String> =
            secrets.values().map(|value| value.to_string_lossy().into_owned()).collect();
        let name = self.spec.name;
        let file = step.scratch.join(LOG_FILE);
        let log = Captured::new(Log::create(&file, name, &masked).map_err(io)?);
        let events = Events::new(&folders.lists.join("events.jsonl"), &log);
        let request = folders.lists.join("request.json");
        let text = request::text((name, self.protocol), step, &folders, events.path());
        fs_err::write(&request, text).map_err(io)?;
        let mut env = base(&folders);
        env.extend(gpus::variables(step.gpus));
        env.extend(secrets);
        let argv = vec![self.path.clone().into(), "run".into(), request.into()];
        let program = Program { argv, env, folder: folders.work, outputs: outputs_folder(step) };
        let ended = run(&program, (&log, None), &|| {
            events.pass_on(step);
            step.cancel.is_cancelled()
        });
        let ended = failure::check(name, ended, &log);
        events.finish(step, ended.is_ok());
        match events.error() {
            Some(told) if !matches!(&ended, Err(e) if e.cause == FailureCause::Cancelled) => {
                return Err(told);
            }
            _ => ended?,
        }
        if self.digests()? != self.program(step.params)? {
            return Err(NodeError::data(format!(
                "the executable of kind `{name}` changed while it ran; its result was not stored"
            ))
            .outlook(Outlook::Unknown)
            .help("run again when nothing writes to it any more"));
        }
        printed::keep(step, &file);
        failure::check_outputs(name, step, &log)
    }
}
