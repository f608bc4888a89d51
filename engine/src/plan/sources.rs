//! Digests of the user's files and folders: each is hashed once in a process, and remembered by the store between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use celldag_cache::{Artifact, Digest, Store};

use crate::error::store_failure;
use crate::pipeline::Job;
use crate::step::{Cancel, NodeError};

/// A file or folder of the user with the digest that it had when it was looked at.
#[derive(Clone, Debug)]
pub(crate) struct SourceDigest {
    /// File or folder, absolute.
    path: PathBuf,
    /// The files that count, relative to `path`; `None` for all.
    files: Option<Vec<PathBuf>>,
    /// Digest of their content.
    pub(crate) digest: Digest,
}

impl SourceDigest {
    /// The files and folders that are read; what is listed with a file lies beside it.
    fn read(&self) -> Vec<PathBuf> {
        let Some(files) = &self.files else { return vec![self.path.clone()] };
        let root = if self.path.is_dir() { Some(&*self.path) } else { self.path.parent() };
        files.iter().map(|file| root.unwrap_or(Path::new(".")).join(file)).collect()
    }
}

/// A path and the files below it that count: what a digest belongs to.
type Place = (PathBuf, Option<Vec<PathBuf>>);
type Slot = Arc<OnceLock<Result<Arc<SourceDigest>, NodeError>>>;
/// Kind, port, path, parameters: what a kind's choice of files depends on.
type Question = (&'static str, String, PathBuf, String);
type Answer = Result<Option<Vec<PathBuf>>, NodeError>;

/// Digests of user files.
#[derive(Debug)]
pub(crate) struct Sources {
    store: Store,
    cancel: Cancel,
    digests: Mutex<BTreeMap<Place, Slot>>,
    choices: Mutex<BTreeMap<Question, Answer>>,
}

impl Sources {
    pub(crate) fn new(store: &Store, cancel: Cancel) -> Self {
        Self { store: store.clone(), cancel, digests: Mutex::default(), choices: Mutex::default() }
    }

    /// The digest of what `job` reads at `path` for `port`.
    pub(crate) fn digest(&self, job: &Job, port: &str, path: &Path) -> Result<Arc<SourceDigest>, NodeError> {
        let files = self.choose(job, port, path)?;
        let place = (path.to_path_buf(), files);
        let slot = Arc::clone(lock(&self.digests).entry(place.clone()).or_default());
        // Others who want the same file wait here instead of hashing it too.
        slot.get_or_init(|| {
            let (path, files) = place;
            let digest = hash(&self.store, &path, files.as_deref())?;
            Ok(Arc::new(SourceDigest { path, files, digest }))
        })
        .clone()
    }

    /// Fails when the content is not what it was when the source was looked at. Cheap unless the file was touched; what is
    /// small is read to its end even if somebody asks to stop, since a result that took hours may wait to be published.
    pub(crate) fn unchanged(&self, source: &SourceDigest) -> Result<(), NodeError> {
        let patient = self.store.patient(source.read());
        if hash(&patient, &source.path, source.files.as_deref())? == source.digest {
            return Ok(());
        }
        let path = source.path.display();
        Err(NodeError::data(format!(
            "{path} changed while the pipeline was running; its result was not stored"
        ))
        .help("run again when nothing writes to it any more"))
    }

    fn choose(&self, job: &Job, port: &str, path: &Path) -> Answer {
        let params = serde_json::to_string(&job.params.0).unwrap_or_default();
        let question = (job.kind.spec.name, port.to_owned(), path.to_path_buf(), params);
        if let Some(answer) = lock(&self.choices).get(&question) {
            return answer.clone();
        }
        let answer = match fs_err::metadata(path) {
            Ok(_) => job.kind.kind.input_files(port, path, &job.params),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Err(NodeError::data(format!("{} does not exist", path.display()))
                    .help("check the path; relative paths start at the folder of the pipeline file"))
            }
            Err(e) => Err(NodeError::data(format!("cannot be read: {e}"))),
        };
        lock(&self.choices).insert(question, answer.clone());
        answer
    }

    /// Whether look-ups were asked to stop.
    pub(crate) fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Whether a path holds the content of an artifact already; `None` when that was not to be waited for.
    pub(crate) fn in_place(&self, path: &Path, artifact: &Artifact) -> Option<bool> {
        if !path.exists() {
            return Some(false);
        }
        match self.store.digest_path(path, None) {
            Ok((there, _)) => Some(there == artifact.digest),
            Err(e) if e.is_cancelled() => None,
            Err(_) => Some(false),
        }
    }
}

fn hash(store: &Store, path: &Path, files: Option<&[PathBuf]>) -> Result<Digest, NodeError> {
    // Whatever keeps a user's file from being read, it is the data that is not usable.
    store
        .digest_path(path, files)
        .map(|(digest, _)| digest)
        .map_err(|e| if e.is_cancelled() { store_failure(&e) } else { NodeError::data(e.to_string()) })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
