//! Tables of text with a header: genes and what is known of them, separated by tabs or commas, packed or not.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use indexmap::IndexMap;

use super::dictionary::{MAX_BYTES, bytes};
use super::error::VocabularyError;
use crate::checkpoint::CheckpointError;

/// A table that has been read: named columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextTable {
    /// Columns in the order of the file.
    pub columns: IndexMap<String, Vec<String>>,
}

impl TextTable {
    /// Number of rows below the header.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }
}

/// Reads a whole table. Tabs separate columns if the header has any, else commas; quotes are those of CSV; a file that
/// gzip packed is unpacked.
///
/// # Errors
/// When the file cannot be read, a row has not as many fields as the header, or a column name repeats.
pub fn read_table(path: &Path) -> Result<TextTable, VocabularyError> {
    let text = text(path, bytes(path)?)?;
    let header = text.lines().next().unwrap_or_default();
    let delimiter = if header.contains('\t') { b'\t' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let wrong = |line, problem| VocabularyError::Text { path: path.to_path_buf(), line, problem };
    let damaged = |e: csv::Error| {
        let line = e.position().map_or(0, csv::Position::line);
        let problem = match e.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the row has {len} fields, the header has {expected_len}")
            }
            _ => e.to_string(),
        };
        wrong(line, problem)
    };
    let mut columns: IndexMap<String, Vec<String>> = IndexMap::new();
    for name in reader.headers().map_err(damaged)? {
        if columns.insert(name.to_owned(), Vec::new()).is_some() {
            return Err(wrong(1, format!("two columns are called `{name}`")));
        }
    }
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(damaged)? {
        for (values, field) in columns.values_mut().zip(&row) {
            values.push(field.to_owned());
        }
    }
    Ok(TextTable { columns })
}

/// Some columns of a table, in the order asked for.
///
/// # Errors
/// As [`read_table`], or when a column is missing.
pub fn read_columns(path: &Path, wanted: &[&str]) -> Result<Vec<Vec<String>>, VocabularyError> {
    let mut table = read_table(path)?;
    let names: Vec<String> = table.columns.keys().map(|name| format!("`{name}`")).collect();
    let missing = |column: &str| VocabularyError::MissingColumn {
        path: path.to_path_buf(),
        column: column.to_owned(),
        available: names.join(", "),
    };
    wanted.iter().map(|&column| table.columns.swap_remove(column).ok_or_else(|| missing(column))).collect()
}

/// Name → whole number out of two columns of a table (scFoundation's `gene_name` and `index`).
///
/// # Errors
/// As [`read_columns`], when a name repeats, or when a number is none.
pub fn read_indexed(path: &Path, names: &str, ids: &str) -> Result<IndexMap<String, i64>, VocabularyError> {
    let columns = read_columns(path, &[names, ids])?;
    let mut out = IndexMap::new();
    for (row, (name, id)) in columns[0].iter().zip(&columns[1]).enumerate() {
        let id = id.trim().parse().map_err(|_| VocabularyError::Text {
            path: path.to_path_buf(),
            line: row as u64 + 2,
            problem: format!("`{id}` in the column `{ids}` is no whole number"),
        })?;
        if out.insert(name.clone(), id).is_some() {
            return Err(VocabularyError::Repeated { path: path.to_path_buf(), key: name.clone() });
        }
    }
    Ok(out)
}

/// Whether the ids of a vocabulary fit an embedding of `rows` rows: each id is a row, and none has two names.
///
/// # Errors
/// [`VocabularyError::Misfit`].
pub fn check_ids(path: &Path, ids: &IndexMap<String, i64>, rows: usize) -> Result<(), VocabularyError> {
    let misfit = |problem| Err(VocabularyError::Misfit { path: path.to_path_buf(), problem });
    let mut names: BTreeMap<usize, &str> = BTreeMap::new();
    for (name, &id) in ids {
        let Some(row) = usize::try_from(id).ok().filter(|&row| row < rows) else {
            return misfit(format!("`{name}` has the id {id}, the weights have {rows} rows"));
        };
        if let Some(other) = names.insert(row, name) {
            return misfit(format!("`{other}` and `{name}` share the id {id}"));
        }
    }
    Ok(())
}

/// Text, unpacked and without byte order mark.
pub(super) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, VocabularyError> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut out = Vec::new();
        let unpacked = flate2::read::MultiGzDecoder::new(bytes.as_slice());
        unpacked.take(MAX_BYTES + 1).read_to_end(&mut out).map_err(CheckpointError::from)?;
        if out.len() as u64 > MAX_BYTES {
            let problem = format!("the file unpacks to more than {MAX_BYTES} bytes");
            return Err(VocabularyError::Text { path: path.to_path_buf(), line: 0, problem });
        }
        out
    } else {
        bytes
    };
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|&&b| b == b'\n').count() as u64 + 1;
        VocabularyError::Text { path: path.to_path_buf(), line, problem: "the text is no UTF-8".to_owned() }
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}
