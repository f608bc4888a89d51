//! From the record of a run to the bytes of a result.

use std::path::PathBuf;

use celldag_cache::{Artifact, Key, Store};

use crate::error::EngineError;

/// The path of an output of a job with this key, for reading only. Small outputs live in the record of their key, which a
/// process has to have read before the store finds them.
///
/// # Errors
/// When the bytes are gone or damaged.
pub fn stored(store: &Store, key: Option<Key>, artifact: &Artifact) -> Result<PathBuf, EngineError> {
    if let Some(key) = key {
        store.record(&key)?;
    }
    Ok(store.fetch(artifact)?)
}
