//! Which results there are, and finding one by the beginning of its key.

use crate::digest::Key;
use crate::error::{Result, StoreError};
use crate::files;
use crate::pin::read_keys;
use crate::store::Store;

/// Fewer digits would name something by chance.
const SHORTEST: usize = 6;

impl Store {
    /// Keys of all results, whether they can be read or not, in order.
    ///
    /// # Errors
    /// When a folder of the store cannot be read.
    pub fn keys(&self) -> Result<Vec<Key>> {
        let paths = files::list_sharded(&self.dir("ac"))?;
        Ok(paths.iter().filter_map(|path| files::name_of(path).strip_suffix(".json")?.parse().ok()).collect())
    }

    /// The key of a result by its digits, or by the first of them (six at least).
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`] when no key or more than one begins so.
    pub fn find_key(&self, beginning: &str) -> Result<Key> {
        if let Ok(key) = beginning.parse() {
            return Ok(key);
        }
        let unknown = |why: &str| StoreError::NoSuchKey { key: beginning.to_owned(), why: why.to_owned() };
        if beginning.len() < SHORTEST {
            return Err(unknown("give at least its first six digits"));
        }
        let mut found = self.keys()?.into_iter().filter(|key| key.to_string().starts_with(beginning));
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(unknown("`celldag cache ls` lists what there is")),
            (Some(_), Some(_)) => Err(unknown("several keys begin so; give more digits")),
        }
    }

    /// Keys that a run used, by the run's whole id.
    ///
    /// # Errors
    /// When the run has no list of them: it is not known, or was killed before the end.
    pub fn used_by_run(&self, id: &str) -> Result<Vec<Key>> {
        read_keys(&self.runs_dir().join(id).join("used.json"))
    }
}
