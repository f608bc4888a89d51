//! The most expressed genes of each cell, by name.

use std::collections::BTreeSet;

use celldag_data::CellsFile;
use celldag_engine::{NodeError, Step};

use crate::prep::cells::{data, open, open_input, symbols};

/// Cells in memory at once.
const CHUNK: usize = 1024;

/// The cells of a file, each with its top genes as columns of the file.
pub(super) struct TopGenes {
    /// Cell names in the order of the file.
    pub(super) ids: Vec<String>,
    /// Gene names by column of the file, those of the external file behind the others.
    names: Vec<String>,
    /// Positions of the names of the top genes of each cell, highest first.
    columns: Vec<Vec<u32>>,
}

impl TopGenes {
    /// The `most` genes with the highest values above 0 in `matrix` of the cells on port `cells`, and behind them of those on
    /// port `external`; equal values in the order of the names, so that the order of the file's genes does not matter. Genes
    /// whose name begins with one of `exclude` (capital letters or not) are passed over. Any scale will do that keeps the
    /// order within a cell.
    pub(super) fn read(
        step: &Step<'_>,
        matrix: &str,
        most: usize,
        exclude: &[String],
    ) -> Result<Self, NodeError> {
        let exclude: Vec<String> = exclude.iter().map(|prefix| prefix.to_uppercase()).collect();
        let mut all = Self { ids: Vec::new(), names: Vec::new(), columns: Vec::new() };
        all.add(step, &open(step)?, matrix, most, &exclude)?;
        if let Some(input) = step.optional_input("external") {
            all.add(step, &open_input(step, input)?, matrix, most, &exclude)?;
            let mut seen = BTreeSet::new();
            if let Some(twice) = all.ids.iter().find(|id| !seen.insert(id.as_str())) {
                return Err(NodeError::data(format!(
                    "cell `{twice}` is in the file on the port `cells` and in the one on `external`"
                ))
                .help("give cells names that say their study"));
            }
        }
        Ok(all)
    }

    /// Adds the cells of a file; `exclude` is in capital letters.
    fn add(
        &mut self,
        step: &Step<'_>,
        file: &CellsFile,
        matrix: &str,
        most: usize,
        exclude: &[String],
    ) -> Result<(), NodeError> {
        let matrix = file.matrix(matrix).map_err(data)?;
        let names = symbols(matrix.var());
        let passed: Vec<bool> = names
            .iter()
            .map(|name| {
                let name = name.to_uppercase();
                exclude.iter().any(|prefix| name.starts_with(prefix.as_str()))
            })
            .collect();
        let first = self.names.len() as u32;
        for chunk in file.rows(&matrix, CHUNK) {
            step.check_cancelled()?;
            let (_, chunk) = chunk.map_err(data)?;
            for (genes, values) in chunk.iter() {
                let mut expressed: Vec<(f32, u32)> = values
                    .iter()
                    .zip(genes)
                    .filter(|&(&value, &gene)| value > 0.0 && !passed[gene as usize])
                    .map(|(&value, &gene)| (value, gene))
                    .collect();
                expressed.sort_by(|a, b| {
                    let name = |gene: u32| names[gene as usize].as_str();
                    b.0.total_cmp(&a.0).then_with(|| name(a.1).cmp(name(b.1))).then(a.1.cmp(&b.1))
                });
                self.columns.push(expressed.iter().take(most).map(|&(_, gene)| first + gene).collect());
            }
        }
        self.ids.extend(file.obs().index.iter().cloned());
        self.names.extend(names);
        Ok(())
    }

    /// Names of the top genes of cell `cell`, highest first; empty when nothing is expressed.
    pub(super) fn of(&self, cell: usize) -> Vec<&str> {
        self.columns[cell].iter().map(|&gene| self.names[gene as usize].as_str()).collect()
    }
}
