//! The answer of an inspection.

use std::path::PathBuf;

use serde::Serialize;

use crate::checkpoint::open::Format;

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// The file, relative to the folder that was inspected.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What it holds.
    pub content: Content,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Content {
    /// Tensors.
    Weights {
        /// Kind of file.
        format: Format,
        /// All tensors, in the order of the file.
        tensors: Vec<TensorReport>,
        /// Floating point numbers in all of them; what two tensors share is counted twice.
        parameters: u64,
        /// What a file of PyTorch holds besides tensors (configurations, epochs), where it is not too large to show.
        data: Option<serde_json::Value>,
    },
    /// A dictionary by name: token ids, medians, symbols.
    Dictionary {
        /// Number of entries.
        entries: usize,
        /// Python's or JSON's name of the type of the values; of the first entry.
        values: String,
        /// How many of the names are Ensembl gene ids.
        ensembl: usize,
        /// The first entries.
        first: Vec<(String, String)>,
    },
    /// A table with a header.
    Table {
        /// Names of the columns.
        columns: Vec<String>,
        /// Number of rows.
        rows: usize,
    },
    /// Lines of text.
    Lines {
        /// Number of lines.
        lines: usize,
        /// The first ones.
        first: Vec<String>,
    },
    /// JSON, or the plain data of a pickle, of another form: mostly a configuration.
    Data {
        /// The whole of it.
        value: serde_json::Value,
    },
    /// Nothing that is known here.
    Other,
    /// A file of a known kind that cannot be used.
    Unreadable {
        /// Why.
        problem: String,
    },
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorReport {
    /// Its name; parts of nested dictionaries are joined by dots.
    pub name: String,
    /// Element type as stored: `f32`, `bf16`, `i64`, ...
    pub dtype: String,
    /// Extents.
    pub shape: Vec<usize>,
}
