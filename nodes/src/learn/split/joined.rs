//! The cells of one file, or of a file and an external one behind it, as one table.

use celldag_data::{CellsFile, Column, CountsSource, Table};
use celldag_engine::{NodeError, Step};

use super::leaks::Fingerprints;
use crate::learn::failure::data;

/// Cells hashed at once.
const CHUNK: usize = 2048;

/// Files of cells whose rows count on from one to the next.
pub struct JoinedCells {
    files: Vec<CellsFile>,
    obs: Table,
    external: Option<usize>,
}

impl JoinedCells {
    /// Opens the port `cells` and, when a file stands there, the port `external`.
    ///
    /// # Errors
    /// A data error for files that cannot be read or share the name of a cell.
    pub fn open(step: &Step<'_>) -> Result<Self, NodeError> {
        let cells = CellsFile::open(&step.input("cells")?.path).map_err(data)?;
        let obs = cells.obs().clone();
        let Some(input) = step.optional_input("external") else {
            return Ok(Self { files: vec![cells], obs, external: None });
        };
        let other = CellsFile::open(&input.path).map_err(data)?;
        let first = obs.len();
        let obs = concatenated(&obs, other.obs());
        if let Some((name, _, _)) = obs.first_duplicate() {
            return Err(NodeError::data(format!(
                "cell `{name}` is in the file on the port `cells` and in the one on `external`"
            ))
            .help(
                "give cells names that say their study, or remove the copies: a cell may not train and test",
            ));
        }
        Ok(Self { files: vec![cells, other], obs, external: Some(first) })
    }

    /// One row a cell.
    #[must_use]
    pub fn obs(&self) -> &Table {
        &self.obs
    }

    /// First row of the external file.
    #[must_use]
    pub fn external(&self) -> Option<usize> {
        self.external
    }

    /// Whether all files list the same genes in the same order, so that copies can be found across them.
    #[must_use]
    pub fn same_genes(&self) -> bool {
        self.files.windows(2).all(|pair| pair[0].var().index == pair[1].var().index)
    }

    /// Fingerprints of all cells, in order.
    ///
    /// # Errors
    /// When a file cannot be read, or the run was stopped.
    pub fn fingerprints(&self, step: &Step<'_>) -> Result<Fingerprints, NodeError> {
        let mut prints = Fingerprints::default();
        step.progress.total(self.obs.len() as u64, "cells");
        for file in &self.files {
            let matrix =
                file.counts_matrix(&CountsSource::Auto).or_else(|_| file.matrix("X")).map_err(data)?;
            for chunk in file.rows(&matrix, CHUNK) {
                step.check_cancelled()?;
                let (_, block) = chunk.map_err(data)?;
                prints.push(&block);
                step.progress.advance(block.rows() as u64);
            }
        }
        Ok(prints)
    }
}

/// Rows of `a`, then rows of `b`, with the columns that either has; a value is missing where a file lacks the column.
fn concatenated(a: &Table, b: &Table) -> Table {
    let mut out = Table::new(a.index.iter().chain(&b.index).cloned().collect());
    let names = a.columns.keys().chain(b.columns.keys().filter(|name| a.column(name).is_none()));
    for name in names {
        let values = |table: &Table| -> Vec<Option<String>> {
            (0..table.len()).map(|row| table.text(name, row).map(std::borrow::Cow::into_owned)).collect()
        };
        let number = |table: &Table| table.column(name).is_none_or(|c| c.kind() == "number");
        let column = if number(a) && number(b) {
            let value =
                |table: &Table, row| table.column(name).and_then(|c| c.as_number(row)).unwrap_or(f64::NAN);
            let rows = (0..a.len()).map(|row| value(a, row)).chain((0..b.len()).map(|row| value(b, row)));
            Column::Float(rows.collect())
        } else {
            Column::Text(values(a).into_iter().chain(values(b)).collect())
        };
        out.columns.insert(name.clone(), column);
    }
    out
}
