//! Why a dictionary cannot be used.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;

/// A dictionary that is missing, damaged, or holds something else.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// The file cannot be read, or its pickle was refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The JSON is damaged.
    #[error("{}: not a readable JSON dictionary: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file holds something other than one dictionary.
    #[error("{}: holds a {found}, not a dictionary from names to {wanted}; is it the right file?", path.display())]
    NoDictionary {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What was expected.
        wanted: &'static str,
    },
    /// An entry has the wrong type.
    #[error("{}: the entry of {key} is a {found}, expected {wanted}; is it the right file?", path.display())]
    WrongEntry {
        /// The file.
        path: PathBuf,
        /// The key, as far as it can be shown.
        key: String,
        /// What is there.
        found: &'static str,
        /// What was expected.
        wanted: &'static str,
    },
}
