//! The cells of one file, or of a file and an external one behind it, as one table.

use celldag_data::{CellsFile, CountsSource, Csr, MatrixRef, Table};
use celldag_engine::{NodeError, Step};

use super::leaks::Fingerprints;
use crate::learn::failure::data;
use crate::prep::concat::{Match, common};

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
        let obs = Table::stacked(&[&obs, other.obs()]);
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

    /// Raw counts of all cells, in order, over the genes that every file names, in the order of the first file. The inner
    /// error says why there are none: a file without raw counts, or files that share no gene.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn counts(&self) -> Result<Result<Csr, String>, NodeError> {
        let mut matrices = Vec::new();
        for file in &self.files {
            match file.counts_matrix(&CountsSource::Auto) {
                Ok(matrix) => matrices.push(matrix),
                Err(e) => return Ok(Err(format!("it needs raw counts: {e}"))),
            }
        }
        let columns = shared(&matrices.iter().map(MatrixRef::var).collect::<Vec<_>>());
        let genes = columns.first().map_or(0, Vec::len);
        if genes == 0 {
            return Ok(Err("`cells` and `external` have no name of a gene in common".to_owned()));
        }
        let mut all = Csr::empty(genes);
        for ((file, matrix), columns) in self.files.iter().zip(&matrices).zip(&columns) {
            let counts = file.read_matrix(matrix).map_err(data)?;
            let whole =
                columns.len() == counts.n_cols() && columns.iter().enumerate().all(|(at, &c)| at == c);
            all.append(&if whole { counts } else { counts.select_columns(columns) });
        }
        Ok(Ok(all))
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

/// For each file the columns of the genes that all files name, in the order of the first file. A name that a file holds twice
/// stands for its first gene; a single file is taken whole.
fn shared(vars: &[&Table]) -> Vec<Vec<usize>> {
    if let [only] = vars {
        return vec![(0..only.len()).collect()];
    }
    let common = common(vars, Match::Name, false);
    let columns = |target: &Vec<Option<u32>>| {
        let mut columns: Vec<(u32, usize)> =
            target.iter().enumerate().filter_map(|(column, new)| Some(((*new)?, column))).collect();
        columns.sort_unstable();
        columns.into_iter().map(|(_, column)| column).collect()
    };
    common.target.iter().map(columns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genes_are_joined_by_name() {
        let genes = |names: &[&str]| Table::new(names.iter().map(|n| (*n).to_owned()).collect());
        let (a, b) = (genes(&["x", "y", "x", "z"]), genes(&["z", "w", "x"]));
        assert_eq!(shared(&[&a, &b]), [vec![0, 3], vec![2, 0]]);
        assert_eq!(shared(&[&a]), [vec![0, 1, 2, 3]]);
        assert_eq!(shared(&[&a, &genes(&["q"])]), [Vec::<usize>::new(), Vec::new()]);
    }
}
