//! The kinds that a program knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kind::{Kind, KindSpec};

/// A kind with its description, read once.
#[derive(Clone)]
pub struct Registered {
    /// The description.
    pub spec: Arc<KindSpec>,
    /// The implementation.
    pub kind: Arc<dyn Kind>,
}

/// Kind name → kind. Iterates in alphabetical order.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Registered>,
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
        let spec = Arc::new(kind.spec());
        let name = spec.name;
        let before = self.kinds.insert(name, Registered { spec, kind: Arc::new(kind) });
        assert!(before.is_none(), "two kinds are called `{name}`");
    }

    /// Looks a kind up.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Registered> {
        self.kinds.get(name)
    }

    /// All kinds by name.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.kinds.values()
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.kinds.keys().copied()
    }
}
