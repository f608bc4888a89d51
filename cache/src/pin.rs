//! Pins: named sets of keys that garbage collection keeps, for example the results behind a paper.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::digest::Key;
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::store::Store;

impl Store {
    /// Keeps the results of `keys` until [`Store::unpin`]; a pin of this name is replaced.
    ///
    /// # Errors
    /// When the name cannot be a file name or the store cannot be written to.
    pub fn pin(&self, name: &str, keys: &[Key]) -> Result<()> {
        let path = self.pin_path(name)?;
        let bytes =
            serde_json::to_vec(keys).map_err(|e| StoreError::io("write", &path, std::io::Error::other(e)))?;
        self.write_atomic(&path, &bytes)
    }

    /// Removes a pin; returns whether there was one.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn unpin(&self, name: &str) -> Result<bool> {
        files::remove_file(&self.pin_path(name)?)
    }

    /// Names of all pins, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn pins(&self) -> Result<Vec<String>> {
        let paths = files::list(&self.dir("pins"))?;
        Ok(paths.iter().filter_map(|p| files::name_of(p).strip_suffix(".json").map(str::to_owned)).collect())
    }

    /// Keys of all pins. A pin that cannot be read is an error: what it protects is not known.
    pub(crate) fn pinned(&self) -> Result<BTreeSet<Key>> {
        let mut keys = BTreeSet::new();
        for path in files::list(&self.dir("pins"))? {
            if files::name_of(&path).ends_with(".json") {
                keys.extend(read_keys(&path)?);
            }
        }
        Ok(keys)
    }

    fn pin_path(&self, name: &str) -> Result<PathBuf> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(good) {
            return Err(StoreError::BadName { name: name.to_owned() });
        }
        Ok(self.dir("pins").join(format!("{name}.json")))
    }
}

/// Reads a JSON list of keys.
pub(crate) fn read_keys(path: &Path) -> Result<Vec<Key>> {
    let bytes = fs_err::read(path).at("read", path)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let why = format!("a list of keys was expected ({e}); repair or delete it");
        StoreError::Unsupported { path: path.to_path_buf(), why }
    })
}
