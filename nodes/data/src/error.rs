//! What can be wrong with a file of cells, and what to do about it.

use std::path::{Path, PathBuf};

use thiserror::Error;

mod help;

/// One value of a matrix, by the names that the file gives its row and column.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueAt {
    /// Name of the matrix.
    pub dataset: String,
    /// Name of the cell.
    pub cell: String,
    /// Name of the gene.
    pub gene: String,
    /// The value.
    pub value: f64,
}

impl std::fmt::Display for ValueAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cell `{}`, gene `{}` has the value {}", self.cell, self.gene, self.value)
    }
}

/// A file of cells that cannot be used, or could not be written. `Display` says what, where and why;
/// [`DataError::help`] says what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Reason given by the system.
        source: std::io::Error,
    },
    /// None of the known formats.
    #[error("{}: no format of cells that is known: {found}", path.display())]
    UnknownFormat {
        /// File or folder.
        path: PathBuf,
        /// What was seen there.
        found: String,
    },
    /// Named like an HDF5 file, but is none.
    #[error("{}: not an HDF5 file ({found})", path.display())]
    NotHdf5 {
        /// The file.
        path: PathBuf,
        /// What its first bytes are.
        found: String,
    },
    /// Shorter than its own header says.
    #[error("{}: the file is truncated: {detail}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Expected and found size.
        detail: String,
    },
    /// The HDF5 library cannot read something.
    #[error("{}: cannot read `{dataset}`: {detail}", path.display())]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// Dataset or group inside it.
        dataset: String,
        /// What the library says.
        detail: String,
    },
    /// A dataset is compressed with a filter that is not built in.
    #[error("{}: `{dataset}` is compressed with {filter}, which cannot be read here", path.display())]
    Filter {
        /// The file.
        path: PathBuf,
        /// Dataset inside it.
        dataset: String,
        /// Name and number of the filter.
        filter: String,
    },
    /// Something that must be there is not.
    #[error("{}: there is no `{wanted}`{}", path.display(), near(available, wanted))]
    Missing {
        /// File or folder.
        path: PathBuf,
        /// Matrix, dataset, column or file.
        wanted: String,
        /// What there is of the same kind.
        available: Vec<String>,
    },
    /// Something is there, but not in the form that its format prescribes.
    #[error("{}: `{dataset}` is malformed: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Dataset, group or file part.
        dataset: String,
        /// What is wrong.
        problem: String,
    },
    /// A line of a text file cannot be understood.
    #[error("{}:{line}: {problem}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// Raw counts were wanted, but a value is none.
    #[error("{}: `{}` does not hold raw counts: {at} ({reason})", path.display(), at.dataset)]
    NotCounts {
        /// The file.
        path: PathBuf,
        /// The first offending value.
        at: Box<ValueAt>,
        /// Why it is no count.
        reason: &'static str,
        /// Other matrices of the file that seem to hold counts.
        matrices: Vec<String>,
    },
    /// A matrix holds NaN or infinity.
    #[error("{}: `{}`: {at}", path.display(), at.dataset)]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The first offending value.
        at: Box<ValueAt>,
    },
    /// Two cells have one name.
    #[error("{}: the cell name `{barcode}` occurs twice, in rows {first} and {second} (counted from 0)", path.display())]
    DuplicateCell {
        /// The file.
        path: PathBuf,
        /// The name.
        barcode: String,
        /// Row of its first occurrence.
        first: usize,
        /// Row of its second occurrence.
        second: usize,
    },
    /// There are no cells or no genes.
    #[error("{}: `{dataset}` holds {cells} cells × {genes} genes", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// Matrix or table.
        dataset: String,
        /// Number of cells.
        cells: usize,
        /// Number of genes.
        genes: usize,
    },
    /// The file can be read in more than one way.
    #[error("{}: {problem}", path.display())]
    Ambiguous {
        /// File or folder.
        path: PathBuf,
        /// What is undecided.
        problem: String,
        /// How to decide it.
        remedy: String,
    },
    /// A file could not be written, or what was to be written does not fit together.
    #[error("{}: cannot write `{dataset}`: {problem}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Dataset inside it.
        dataset: String,
        /// What is wrong.
        problem: String,
    },
}

/// `, did you mean ...` or a short list of what there is.
fn near(available: &[String], wanted: &str) -> String {
    let best = available
        .iter()
        .map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &wanted.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if available.is_empty() => String::new(),
        None => format!("; there is: {}", list(available)),
    }
}

/// At most a dozen names, separated by commas.
pub(crate) fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, and {} more", names.len() - SHOWN) } else { shown }
}

impl DataError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn malformed(path: &Path, dataset: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), dataset: dataset.into(), problem: problem.into() }
    }

    pub(crate) fn missing(path: &Path, wanted: impl Into<String>, available: Vec<String>) -> Self {
        Self::Missing { path: path.to_owned(), wanted: wanted.into(), available }
    }

    #[expect(clippy::needless_pass_by_value, reason = "errors are handed over at the place where they end")]
    pub(crate) fn write(path: &Path, dataset: impl Into<String>, problem: impl ToString) -> Self {
        Self::Write { path: path.to_owned(), dataset: dataset.into(), problem: problem.to_string() }
    }

    /// The file or folder that the error is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::UnknownFormat { path, .. }
            | Self::NotHdf5 { path, .. }
            | Self::Truncated { path, .. }
            | Self::Hdf5 { path, .. }
            | Self::Filter { path, .. }
            | Self::Missing { path, .. }
            | Self::Malformed { path, .. }
            | Self::Text { path, .. }
            | Self::NotCounts { path, .. }
            | Self::NotFinite { path, .. }
            | Self::DuplicateCell { path, .. }
            | Self::Empty { path, .. }
            | Self::Ambiguous { path, .. }
            | Self::Write { path, .. } => path,
        }
    }
}
