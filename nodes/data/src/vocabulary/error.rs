//! Why a dictionary cannot be used.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;

/// A dictionary that is missing, damaged, or holds something else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The file cannot be read, or its pickle was refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The JSON is damaged.
    #[error("{}: not readable JSON of the expected form: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A line of a text file cannot be used.
    #[error("{}:{line}: {problem}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A table lacks a column.
    #[error("{}: there is no column `{column}`; there is: {available}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns that there are.
        available: String,
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
    /// The file holds something other than one list of names.
    #[error("{}: holds a {found}, not a list of names; is it the right file?", path.display())]
    NoList {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: &'static str,
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
    /// A name occurs twice.
    #[error("{}: `{key}` occurs twice; the file is damaged, copy or download it again", path.display())]
    Repeated {
        /// The file.
        path: PathBuf,
        /// The name.
        key: String,
    },
    /// Ids of a vocabulary do not fit the rows of the model's embedding.
    #[error("{}: the vocabulary does not fit the weights: {problem}", path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
}
