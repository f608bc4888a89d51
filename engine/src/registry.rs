//! The kinds that a program knows: its own, and those in executables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::intern::intern;
use crate::kind::{Kind, KindSpec};
use crate::plugin::{self, PluginError};

/// A kind with its description, read once.
#[derive(Clone)]
pub struct Registered {
    /// The description.
    pub spec: Arc<KindSpec>,
    /// The implementation.
    pub kind: Arc<dyn Kind>,
}

impl Registered {
    /// A kind with its description.
    #[must_use]
    pub fn new(kind: impl Kind + 'static) -> Self {
        Self { spec: Arc::new(kind.spec()), kind: Arc::new(kind) }
    }
}

/// An executable, asked for its description when somebody wants to know: most commands need none of them.
#[derive(Default)]
struct Executable {
    path: PathBuf,
    answer: OnceLock<Result<Registered, PluginError>>,
}

impl Executable {
    fn at(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, answer: OnceLock::new() })
    }

    fn load(&self) -> Result<&Registered, &PluginError> {
        self.answer.get_or_init(|| plugin::load(&self.path)).as_ref()
    }
}

/// Kind name → kind. Iterates in alphabetical order.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Registered>,
    executables: BTreeMap<&'static str, Arc<Executable>>,
    /// Those that pipelines name by their path.
    named: Arc<Mutex<BTreeMap<PathBuf, Arc<Executable>>>>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind.
    ///
    /// # Panics
    /// When the name is taken: two kinds of one name are a mistake of the program, not of its user.
    pub fn add(&mut self, kind: impl Kind + 'static) {
        let kind = Registered::new(kind);
        let name = kind.spec.name;
        let before = self.kinds.insert(name, kind);
        assert!(before.is_none(), "two kinds are called `{name}`");
    }

    /// Adds the executables in a folder, each under its file name without extension. Names that are taken stay as they
    /// are: a pipeline must not change its meaning because a file appeared. Nothing is run yet.
    pub fn add_executables(&mut self, folder: &Path) {
        for (name, path) in plugin::executables(folder) {
            let name = intern(&name);
            if self.kinds.contains_key(name) {
                tracing::warn!("{} is not used: there is a kind `{name}` already", path.display());
                continue;
            }
            self.executables.entry(name).or_insert_with(|| Executable::at(path));
        }
    }

    /// Looks a kind up. An executable that cannot be used counts as none; [`Registry::problem`] says why.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Registered> {
        self.kinds.get(name).or_else(|| self.executables.get(name)?.load().ok())
    }

    /// Why the executable of this name cannot be used.
    #[must_use]
    pub fn problem(&self, name: &str) -> Option<&PluginError> {
        self.executables.get(name)?.load().err()
    }

    /// Everything that is wrong with executables, by name.
    pub fn problems(&self) -> impl Iterator<Item = &PluginError> {
        self.executables.values().filter_map(|executable| executable.load().err())
    }

    /// The kind in the executable at `path`.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn at_path(&self, path: &Path) -> Result<Registered, PluginError> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let executable = named.entry(path.to_owned()).or_insert_with(|| Executable::at(path.to_owned()));
        executable.load().cloned().map_err(Clone::clone)
    }

    /// All kinds by name.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        let told =
            self.executables.iter().filter_map(|(name, executable)| Some((*name, executable.load().ok()?)));
        let all: BTreeMap<&str, &Registered> =
            self.kinds.iter().map(|(name, kind)| (*name, kind)).chain(told).collect();
        all.into_values()
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + '_ {
        let mut names: Vec<&'static str> =
            self.kinds.keys().chain(self.executables.keys()).copied().collect();
        names.sort_unstable();
        names.into_iter()
    }
}
