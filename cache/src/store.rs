//! The store itself: opening, its format, and where everything lies.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Key};
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::host::{host, process_name};
use crate::inline::Inline;
use crate::memo::Memo;
use crate::remote::{Link, RemoteOptions, process_env};
use crate::sandbox::{self, Workspace};
use crate::stamp::Stamp;
use crate::stop::Stop;

/// Version of the layout.
const FORMAT: u32 = 1;

/// Names at the top of a store.
const FOLDERS: [&str; 13] = [
    "ac",
    "cas",
    "tmp",
    "locks",
    "memo",
    "failed",
    "partial",
    "runs",
    "pins",
    "quarantine",
    "trees",
    "upload",
    "temporary",
];

/// How much a power failure may destroy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Everything published survives a power failure (about four fsyncs a result).
    #[default]
    Full,
    /// No fsync, for scratch disks: a killed process still leaves a good store, a power failure may leave damaged
    /// objects, which are found at first use and computed again.
    Relaxed,
}

/// How to open a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How much a power failure may destroy.
    pub durability: Durability,
}

/// A content-addressed store on disk. Clones are cheap and share everything; all methods may be called from any thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// Of this handle; clones of it share it.
    stop: Stop,
}

struct Inner {
    root: PathBuf,
    id: String,
    sync: bool,
    /// Opened by [`Store::look`].
    look_only: bool,
    workspace: Mutex<Option<Arc<Workspace>>>,
    /// Blobs whose content this process has hashed, with the stamp that they had then.
    verified: Mutex<BTreeMap<Blob, Stamp>>,
    /// Folders below `trees/` that this process has checked.
    trees: Mutex<BTreeSet<Digest>>,
    /// Folders of users that were searched for left-overs of dead processes.
    swept: Mutex<BTreeSet<PathBuf>>,
    memo: Memo,
    /// The shared store behind this one.
    link: OnceLock<Arc<Link>>,
    /// Whether leases take the place of kernel locks.
    leases: AtomicBool,
    /// Outputs of fewer bytes are kept in the record.
    inline_limit: AtomicU64,
    inline: Mutex<Inline>,
}

/// A store that may be gone. Who gets it back works for nobody who could ask to stop.
pub(crate) struct WeakStore(Weak<Inner>);

impl WeakStore {
    pub(crate) fn upgrade(&self) -> Option<Store> {
        self.0.upgrade().map(|inner| Store { inner, stop: Stop::default() })
    }
}

/// A file in `cas`: content, or the manifest of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) tree: bool,
}

impl Blob {
    pub(crate) fn file(digest: Digest) -> Self {
        Self { digest, tree: false }
    }

    pub(crate) fn tree(digest: Digest) -> Self {
        Self { digest, tree: true }
    }

    fn name(&self) -> String {
        if self.tree { format!("{}.tree", self.digest) } else { self.digest.to_string() }
    }

    /// Which blob a file name in `cas` stands for.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name.strip_suffix(".tree") {
            Some(digest) => digest.parse().ok().map(Self::tree),
            None => name.parse().ok().map(Self::file),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Format {
    #[serde(rename = "celldag-store")]
    version: u32,
    id: String,
}

impl Store {
    /// Opens the store in `dir`, creating folder and store if there is none. Several processes may do so at once.
    /// A store that cannot be written to opens too; what needs no writing works.
    ///
    /// # Errors
    /// When `dir` holds something else, a newer format, or cannot be read or created.
    pub fn open(dir: &Path, options: Options) -> Result<Self> {
        let format = match read_format(dir)? {
            Some(format) => format,
            None => create(dir)?,
        };
        Self::with_format(dir, format, options, false)
    }

    pub(crate) fn with_format(dir: &Path, format: Format, options: Options, look_only: bool) -> Result<Self> {
        if format.version != FORMAT {
            let (found, supported) = (format.version, FORMAT);
            return Err(StoreError::Format { path: dir.to_path_buf(), found, supported });
        }
        let root = fs_err::canonicalize(dir).at("open", dir)?;
        if !look_only {
            sandbox::sweep(&root.join("tmp"), false);
        }
        let log = root.join("memo").join(format!("{}.log", host()));
        let memo = if look_only { Memo::look(log) } else { Memo::at(log) };
        let inner = Arc::new(Inner {
            root,
            id: format.id,
            sync: options.durability == Durability::Full,
            look_only,
            workspace: Mutex::default(),
            verified: Mutex::default(),
            trees: Mutex::default(),
            swept: Mutex::default(),
            memo,
            link: OnceLock::new(),
            leases: AtomicBool::default(),
            inline_limit: AtomicU64::default(),
            inline: Mutex::default(),
        });
        Ok(Self { inner, stop: Stop::default() })
    }

    /// Puts a shared store behind this one, before anything is looked up: from now on lookups take from it what is not
    /// here, and what is published goes to it. A second call changes nothing. Nothing is sent or asked yet.
    ///
    /// # Errors
    /// When the address or the credentials cannot be used.
    pub fn connect(&self, options: &RemoteOptions) -> Result<()> {
        let link = Link::new(options, &process_env)?;
        let _ = self.inner.link.set(Arc::new(link));
        Ok(())
    }

    /// The folder of the store, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Random id that tells stores apart.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Where the engine keeps one folder a run. It is created when a run is recorded.
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.dir("runs")
    }

    /// The digests of files outside the store, remembered between processes.
    #[must_use]
    pub fn memo(&self) -> &Memo {
        &self.inner.memo
    }

    /// From now on, files that are touched as long as work goes on take the place of kernel locks on keys. Without this
    /// they do where the file system says that it has no locks; some say that they have, and lock on one machine only.
    pub fn use_leases(&self) {
        self.inner.leases.store(true, Ordering::Relaxed);
    }

    /// From now on, outputs of fewer bytes than this are kept in their record, if they are text. Without this,
    /// none is. What is read does not depend on it.
    pub fn inline_below(&self, bytes: u64) {
        self.inner.inline_limit.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn inline_limit(&self) -> u64 {
        self.inner.inline_limit.load(Ordering::Relaxed)
    }

    pub(crate) fn inline(&self) -> &Mutex<Inline> {
        &self.inner.inline
    }

    pub(crate) fn leases(&self) -> bool {
        self.inner.leases.load(Ordering::Relaxed)
    }

    /// Whether there is a shared store behind this one.
    #[must_use]
    pub fn has_remote(&self) -> bool {
        self.shared().is_some()
    }

    pub(crate) fn shared(&self) -> Option<&Arc<Link>> {
        self.inner.link.get()
    }

    pub(crate) fn downgrade(&self) -> WeakStore {
        WeakStore(Arc::downgrade(&self.inner))
    }

    pub(crate) fn with_stop(&self, stop: Stop) -> Self {
        Self { inner: Arc::clone(&self.inner), stop }
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Whether nothing may be changed here: it was opened by [`Store::look`].
    pub(crate) fn looks_only(&self) -> bool {
        self.inner.look_only
    }

    pub(crate) fn sync(&self) -> bool {
        self.inner.sync
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        debug_assert!(FOLDERS.contains(&name));
        self.inner.root.join(name)
    }

    pub(crate) fn blob_path(&self, blob: Blob) -> PathBuf {
        self.dir("cas").join(blob.digest.shard()).join(blob.name())
    }

    pub(crate) fn record_path(&self, key: &Key) -> PathBuf {
        self.dir("ac").join(key.0.shard()).join(format!("{key}.json"))
    }

    pub(crate) fn tree_path(&self, digest: &Digest) -> PathBuf {
        self.dir("trees").join(digest.to_string())
    }

    /// The folder of temporary files of this process in this store, created at first use.
    pub(crate) fn workspace(&self) -> Result<Arc<Workspace>> {
        if self.inner.look_only {
            let (path, source) = (self.inner.root.clone(), ErrorKind::PermissionDenied.into());
            return Err(StoreError::Io { action: "write to a store that is only looked at,", path, source });
        }
        let mut slot = lock(&self.inner.workspace);
        if let Some(workspace) = &*slot {
            return Ok(Arc::clone(workspace));
        }
        let tmp = self.dir("tmp");
        files::create_dir(&tmp)?;
        let workspace = Arc::new(Workspace::create(&tmp)?);
        *slot = Some(Arc::clone(&workspace));
        Ok(workspace)
    }

    pub(crate) fn verified(&self) -> MutexGuard<'_, BTreeMap<Blob, Stamp>> {
        lock(&self.inner.verified)
    }

    pub(crate) fn checked_trees(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        lock(&self.inner.trees)
    }

    pub(crate) fn swept(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        lock(&self.inner.swept)
    }

    /// Writes a small file such that readers see all of it or none, replacing what was there.
    pub(crate) fn write_atomic(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let tmp = self.workspace()?.fresh_path();
        files::write_new(&tmp, bytes, self.sync())
            .and_then(|()| files::rename(&tmp, path, self.sync()))
            .inspect_err(|_| discard(&tmp))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.inner.root).finish_non_exhaustive()
    }
}

/// A panic of another thread leaves these maps usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Deletes a temporary file after a failure that will be reported anyway.
pub(crate) fn discard(tmp: &Path) {
    let _ = files::remove_file(tmp);
}

pub(crate) fn read_format(dir: &Path) -> Result<Option<Format>> {
    let path = dir.join("FORMAT");
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(not_a_store(dir, "it is a file".into()));
        }
        Err(e) => return Err(e).at("open the store", &path),
    };
    match serde_json::from_str(&text) {
        Ok(format) => Ok(Some(format)),
        Err(e) => Err(not_a_store(dir, format!("its FORMAT file cannot be read ({e})"))),
    }
}

fn not_a_store(dir: &Path, why: String) -> StoreError {
    StoreError::NotAStore { path: dir.to_path_buf(), why }
}

/// Makes a store. FORMAT comes last and appears complete or not at all; of several processes the first one wins.
fn create(dir: &Path) -> Result<Format> {
    files::create_dir(dir)?;
    for path in files::list(dir)? {
        let name = files::name_of(&path);
        let ours = FOLDERS.contains(&name) || matches!(name, "FORMAT" | "CACHEDIR.TAG" | ".gitignore");
        if !ours && !name.starts_with(".FORMAT-") {
            return Err(not_a_store(dir, format!("it holds `{}`", path.display())));
        }
    }
    for folder in FOLDERS {
        files::create_dir(&dir.join(folder))?;
    }
    // Backup tools and git skip folders that carry these.
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by celldag; everything here can be computed again.\n";
    for (name, text) in [("CACHEDIR.TAG", tag), (".gitignore", "*\n")] {
        let path = dir.join(name);
        fs_err::write(&path, text).at("write", &path)?;
    }
    let lock_file = dir.join("locks").join(crate::usage::LOCK_NAME);
    fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_file)
        .at("create", &lock_file)?;

    let id: String =
        (0..2).map(|_| format!("{:016x}", RandomState::new().hash_one(process_name()))).collect();
    let text = serde_json::json!({"celldag-store": FORMAT, "id": id}).to_string() + "\n";
    let nonce = RandomState::new().hash_one(0_u8);
    let tmp = dir.join(format!(".FORMAT-{}-{nonce:x}", process_name()));
    files::write_new(&tmp, text.as_bytes(), true)?;
    let linked = files::rename_no_replace(&tmp, &dir.join("FORMAT"));
    discard(&tmp);
    linked?;
    files::sync_dir(dir)?;
    read_format(dir)?.ok_or_else(|| not_a_store(dir, "its FORMAT file vanished".into()))
}
