//! The tensors of a checkpoint by name, read when a model takes them, with an account of what was taken.
//!
//! A model takes every tensor it needs with the shape it expects; a missing, misshapen or left-over tensor is an error,
//! because a model that silently ran without a part would give plausible wrong numbers. [`Weights::load`] lists all of
//! them together, [`Weights::take`] stops at the first, [`Weights::finish`] looks for what is left over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use indexmap::IndexMap;

use super::account::Account;
use super::dtype::Dtype;
use super::entry::Entry;
use super::error::CheckpointError;
use super::mismatch::list;
use super::open::{self, Opened};
use super::pickle::Pickle;
use super::source::Source;

/// The tensors of one checkpoint.
#[derive(Debug)]
pub struct Weights {
    /// In the order of the files.
    pub(super) tensors: IndexMap<String, Entry>,
    /// What the files hold besides tensors.
    pub(super) objects: Vec<Arc<Pickle>>,
    pub(super) account: Mutex<Account>,
    /// What messages call the checkpoint: its only file, or the folder of its files.
    pub(super) place: PathBuf,
}

impl Weights {
    /// Opens weight files as one set of tensors: safetensors, anything `torch.save` has written since 2017, `.npy` and
    /// `.npz`, recognised by their content, and `*.index.json`, which stands for the files that it names. Only names and
    /// shapes are read.
    ///
    /// Tensors inside nested dictionaries and lists have dotted names (`cell.state_dict.model.norm.weight`); a file that
    /// is one tensor holds [`BARE_TENSOR`](super::BARE_TENSOR).
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, asks for more than data, or repeats a name.
    pub fn open<P: AsRef<Path>>(files: &[P]) -> Result<Self, CheckpointError> {
        let place = match files {
            [one] => one.as_ref().to_path_buf(),
            _ => files.first().and_then(|f| f.as_ref().parent()).map(Path::to_path_buf).unwrap_or_default(),
        };
        Self::gather(place, files.iter().map(|file| open::open(file.as_ref())))
    }

    /// Opens a weight file that is in memory already; messages call it `name`.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn from_bytes(name: &Path, bytes: Vec<u8>) -> Result<Self, CheckpointError> {
        let opened = open::open_source(&Arc::new(Source::memory(name, bytes)));
        Self::gather(name.to_path_buf(), std::iter::once(opened))
    }

    fn gather(
        place: PathBuf,
        files: impl Iterator<Item = Result<Opened, CheckpointError>>,
    ) -> Result<Self, CheckpointError> {
        let mut tensors: IndexMap<String, Entry> = IndexMap::new();
        let mut objects = Vec::new();
        for file in files {
            let Opened { tensors: found, object, .. } = file?;
            for (name, entry) in found {
                if let Some(before) = tensors.get(&name) {
                    let path = |entry: &Entry| entry.storage.path().to_path_buf();
                    return Err(CheckpointError::Duplicate {
                        name,
                        first: path(before),
                        second: path(&entry),
                    });
                }
                tensors.insert(name, entry);
            }
            objects.extend(object);
        }
        Ok(Self { tensors, objects, account: Mutex::default(), place })
    }

    /// The tensors whose names begin with `prefix`, without it. What else the files hold no longer counts as unused.
    ///
    /// `below("cell.state_dict.model.")` is how one of the three models of a scFoundation file is read.
    ///
    /// # Errors
    /// [`CheckpointError::NoSuchPart`] when there is none.
    pub fn below(self, prefix: &str) -> Result<Self, CheckpointError> {
        if !self.has_prefix(prefix) {
            let available: Vec<&str> = self.parts().into_iter().collect();
            return Err(CheckpointError::NoSuchPart {
                files: self.place.clone(),
                prefix: prefix.to_owned(),
                available: list(&available, 12, |part| format!("`{part}`")),
            });
        }
        self.rename(|name| name.strip_prefix(prefix).map(str::to_owned))
    }

    /// Other names for the tensors (`module.` and other wrappers taken away); those for which `rename` gives `None` no
    /// longer count.
    ///
    /// # Errors
    /// [`CheckpointError::Duplicate`] when two tensors come to the same name.
    pub fn rename(self, rename: impl Fn(&str) -> Option<String>) -> Result<Self, CheckpointError> {
        let mut tensors: IndexMap<String, Entry> = IndexMap::new();
        for (name, entry) in self.tensors {
            let Some(name) = rename(&name) else { continue };
            if tensors.contains_key(&name) {
                let path = entry.storage.path().to_path_buf();
                return Err(CheckpointError::Duplicate { name, first: path.clone(), second: path });
            }
            tensors.insert(name, entry);
        }
        Ok(Self { tensors, account: Mutex::default(), ..self })
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.names_in_order().collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// All names in the order in which the files hold them (of a saved dict: its order).
    pub fn names_in_order(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// What stands before the first dot of the names, sorted.
    #[must_use]
    pub fn parts(&self) -> BTreeSet<&str> {
        self.names_in_order().map(|name| name.split_once('.').map_or(name, |(part, _)| part)).collect()
    }

    /// Whether there is a tensor of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether a name begins like this.
    #[must_use]
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.names_in_order().any(|name| name.starts_with(prefix))
    }

    /// Shape of a tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Entry::shape)
    }

    /// Element type of a tensor as stored.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|tensor| tensor.dtype)
    }

    /// What a file of PyTorch holds besides tensors, as JSON: the value at this way through its dictionaries
    /// (`["cell", "config"]`; empty for the whole object). Tensors are left out, `Namespace`s are objects, tuples and sets
    /// are lists, and numbers that JSON does not have are text.
    ///
    /// # Errors
    /// When there is nothing, or it is larger than any configuration.
    pub fn data(&self, way: &[&str]) -> Result<serde_json::Value, CheckpointError> {
        let in_file = |source| CheckpointError::Pickle { path: self.place.clone(), source };
        for object in &self.objects {
            let found = way.iter().try_fold(object.root(), |value, key| value.get(key));
            let Some(found) = found else { continue };
            if let Some(json) = found.to_json().map_err(in_file)? {
                return Ok(json);
            }
        }
        Err(CheckpointError::NoSuchPart {
            files: self.place.clone(),
            prefix: way.join("."),
            available: list(&self.parts().into_iter().collect::<Vec<_>>(), 12, |part| format!("`{part}`")),
        })
    }

    /// The closest name that is there.
    pub(super) fn closest(&self, name: &str) -> Option<String> {
        // Of a dictionary of 20,000 genes no name is a misspelling of another.
        if self.tensors.len() > 5_000 {
            return None;
        }
        let scored = self.names_in_order().map(|other| (strsim::normalized_levenshtein(name, other), other));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 > 0.6).then(|| best.1.to_owned())
    }
}
