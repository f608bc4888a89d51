//! What the tests of the store share: a store in a temporary folder, actions, and helper processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use celldag_cache::{Artifact, Durability, Key, Lookup, Options, Published, RecordMeta, Store};

/// Set in processes that a test starts: what to do there.
pub(crate) const ROLE: &str = "CELLDAG_CACHE_TEST_ROLE";
/// The store for a started process.
pub(crate) const STORE: &str = "CELLDAG_CACHE_TEST_STORE";

/// A store in a temporary folder.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("store"));
        Self { dir, store }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same store as another process would see it: nothing checked yet.
    pub(crate) fn reopen(&self) -> Store {
        open(self.store.root())
    }
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir, Options { durability: Durability::Relaxed }).unwrap()
}

pub(crate) fn action(name: &str) -> Vec<u8> {
    serde_json::json!({"kind": "test", "name": name}).to_string().into_bytes()
}

pub(crate) fn key(name: &str) -> Key {
    Key::of_action(&action(name))
}

pub(crate) fn meta(seconds: f64) -> RecordMeta {
    RecordMeta { seconds, version: "test".into(), ..RecordMeta::default() }
}

/// Publishes one file on port `out`.
pub(crate) fn publish(store: &Store, name: &str, content: &[u8]) -> Published {
    try_publish(store, name, content).unwrap()
}

pub(crate) fn try_publish(store: &Store, name: &str, content: &[u8]) -> celldag_cache::Result<Published> {
    let sandbox = store.sandbox()?;
    let path = sandbox.path().join("out");
    fs_err::write(&path, content).unwrap();
    store.publish(&key(name), &action(name), &BTreeMap::from([("out".into(), path)]), meta(1.0))
}

/// Publishes a folder on port `out`.
pub(crate) fn publish_folder(store: &Store, name: &str, files: &[(&str, &[u8])]) -> Artifact {
    let sandbox = store.sandbox().unwrap();
    let root = sandbox.path().join("out");
    for (file, content) in files {
        write(&root.join(file), content);
    }
    let outputs = BTreeMap::from([("out".into(), root)]);
    let published = store.publish(&key(name), &action(name), &outputs, meta(1.0)).unwrap();
    published.record.outputs["out"]
}

pub(crate) fn lookup(store: &Store, name: &str) -> Lookup {
    store.lookup(&key(name), &action(name)).unwrap()
}

pub(crate) fn is_hit(store: &Store, name: &str) -> bool {
    matches!(lookup(store, name), Lookup::Hit(_))
}

pub(crate) fn write(path: &Path, content: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

/// Changes a read-only file behind the store's back.
pub(crate) fn tamper(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs_err::read(path).unwrap();
    change(&mut bytes);
    let mode = fs_err::metadata(path).unwrap().permissions();
    fs_err::remove_file(path).unwrap();
    fs_err::write(path, bytes).unwrap();
    fs_err::set_permissions(path, mode).unwrap();
}

/// All files below a folder.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

pub(crate) fn blob_path(store: &Store, artifact: &Artifact) -> PathBuf {
    let hex = artifact.digest.to_string();
    let suffix = if artifact.tree { ".tree" } else { "" };
    store.root().join("cas").join(&hex[..2]).join(format!("{hex}{suffix}"))
}

pub(crate) fn record_path(store: &Store, name: &str) -> PathBuf {
    let hex = key(name).to_string();
    store.root().join("ac").join(&hex[..2]).join(format!("{hex}.json"))
}

/// This test program again, running only the test `child` of a module, which looks at [`ROLE`].
pub(crate) fn start(module: &str, role: &str, store: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::child"), "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(STORE, store);
    command
}

/// `script` with the started test program as `"$@"`.
pub(crate) fn in_shell(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell
}

/// Inside a started process: its role and its store's folder.
pub(crate) fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(STORE)?.into()))
}
