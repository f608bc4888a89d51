//! Annotation tables: one row per cell (`obs`) or gene (`var`), an index of names and typed columns.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod column;
mod stack;
#[cfg(test)]
mod tests;

pub use column::Column;

/// Names of the rows and columns of equal length, in the file's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What the index is called in the file; AnnData's default is `_index`.
    pub index_name: String,
    /// Names of the rows: barcodes in `obs`, gene names in `var`.
    pub index: Vec<String>,
    /// Columns by name; each has as many values as `index`.
    pub columns: IndexMap<String, Column>,
}

/// A column that does not fit its table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column `{name}` has {found} values, the table has {expected} rows")]
pub struct TableError {
    /// Name of the column.
    pub name: String,
    /// Its length.
    pub found: usize,
    /// Number of rows.
    pub expected: usize,
}

impl Table {
    /// A table without columns, its index called `_index`.
    #[must_use]
    pub fn new(index: Vec<String>) -> Self {
        Self { index_name: "_index".to_owned(), index, columns: IndexMap::new() }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The column `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    /// Adds or replaces a column.
    ///
    /// # Errors
    /// When its length is not that of the table.
    pub fn insert(&mut self, name: impl Into<String>, column: Column) -> Result<(), TableError> {
        let name = name.into();
        if column.len() != self.len() {
            return Err(TableError { name, found: column.len(), expected: self.len() });
        }
        self.columns.insert(name, column);
        Ok(())
    }

    /// The value of column `name` in row `i` as text; `None` if the value is missing or the column unknown.
    #[must_use]
    pub fn text(&self, name: &str, i: usize) -> Option<Cow<'_, str>> {
        self.column(name)?.as_text(i)
    }

    /// The rows `rows`, in that order.
    ///
    /// # Panics
    /// If a row is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            index_name: self.index_name.clone(),
            index: rows.iter().map(|&row| self.index[row].clone()).collect(),
            columns: self.columns.iter().map(|(name, column)| (name.clone(), column.select(rows))).collect(),
        }
    }

    /// The first name that occurs twice in the index, with both of its rows.
    #[must_use]
    pub fn first_duplicate(&self) -> Option<(&str, usize, usize)> {
        let mut seen: IndexMap<&str, usize> = IndexMap::with_capacity(self.len());
        self.index
            .iter()
            .enumerate()
            .find_map(|(row, name)| seen.insert(name, row).map(|first| (name.as_str(), first, row)))
    }

    /// Checks that all columns have the table's length; for tables that were read from JSON.
    ///
    /// # Errors
    /// The first column that does not.
    pub fn check(&self) -> Result<(), TableError> {
        for (name, column) in &self.columns {
            if column.len() != self.len() {
                let (name, found, expected) = (name.clone(), column.len(), self.len());
                return Err(TableError { name, found, expected });
            }
        }
        Ok(())
    }
}
