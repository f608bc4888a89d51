//! Who is asked about: the test cells of a split, or all cells; with which labelled examples; in which batches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use celldag_engine::NodeError;

use super::genes::TopGenes;
use super::template::{Shot, Template};
use crate::learn::fold::{fold_name, wanted_folds};
use crate::learn::split::{Role, SplitRow, SplitTable, shuffled};

/// One row of the predictions.
pub(super) struct Row {
    /// Position of the cell in the file.
    pub(super) cell: usize,
    pub(super) group: String,
    pub(super) repeat: u32,
    pub(super) fold: u32,
    /// True label; empty without a split. Never part of a question.
    pub(super) label: String,
}

/// Cells that are asked about with the same examples.
pub(super) struct Part {
    pub(super) shots: Vec<Shot>,
    /// Positions of the cells of each request.
    pub(super) batches: Vec<Vec<usize>>,
    /// Cells that are not asked about because the published code never sends a last batch that is not full.
    pub(super) not_sent: Vec<usize>,
    /// The rows that its answers fill.
    pub(super) rows: Vec<Row>,
}

/// How cells are put together.
pub(super) struct Plan {
    pub(super) template: Template,
    pub(super) cells_per_request: usize,
    /// Examples of each class.
    pub(super) shots: usize,
    pub(super) fold: Option<u32>,
    pub(super) seed: u64,
}

impl Plan {
    /// All cells of the file once, without labels.
    pub(super) fn all_cells(&self, genes: &TopGenes) -> Vec<Part> {
        let row = |cell| Row { cell, group: String::new(), repeat: 0, fold: 0, label: String::new() };
        vec![self.part(genes, Vec::new(), (0..genes.ids.len()).map(row).collect())]
    }

    /// The test cells of the folds. Without examples the folds share their questions: a cell is asked about once.
    ///
    /// # Errors
    /// An unknown fold; cells that are not in the file; too few training cells for the examples.
    pub(super) fn test_cells(
        &self,
        genes: &TopGenes,
        split: &SplitTable,
        path: &Path,
    ) -> Result<Vec<Part>, NodeError> {
        let wanted = wanted_folds(split, self.fold)?;
        let places: BTreeMap<&str, usize> =
            genes.ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
        let place = |row: &SplitRow| {
            places.get(row.cell_id.as_str()).copied().ok_or_else(|| {
                NodeError::data(format!(
                    "{}: cell `{}` of the split is not among the cells",
                    path.display(),
                    row.cell_id
                ))
                .help("make the split from the same cells")
            })
        };
        let mut parts = Vec::new();
        for ((repeat, fold), members) in &wanted {
            let mut rows = Vec::new();
            for member in members.iter().filter(|m| m.role == Role::Test) {
                rows.push(Row {
                    cell: place(member)?,
                    group: member.group.clone(),
                    repeat: *repeat,
                    fold: *fold,
                    label: member.label.clone(),
                });
            }
            let training: Vec<&SplitRow> =
                members.iter().copied().filter(|m| m.role == Role::Train).collect();
            let shots = self.examples(genes, &training, *repeat, &place).map_err(|e| NodeError {
                message: format!("{}: {}", fold_name(*repeat, *fold), e.message),
                ..e
            })?;
            parts.push((shots, rows));
        }
        if self.shots == 0 {
            let rows = parts.into_iter().flat_map(|(_, rows)| rows).collect();
            return Ok(vec![self.part(genes, Vec::new(), rows)]);
        }
        Ok(parts.into_iter().map(|(shots, rows)| self.part(genes, shots, rows)).collect())
    }

    /// Training cells with their labels: the same number of each class, drawn by (seed, cell name), classes mixed.
    fn examples(
        &self,
        genes: &TopGenes,
        training: &[&SplitRow],
        repeat: u32,
        place: &impl Fn(&SplitRow) -> Result<usize, NodeError>,
    ) -> Result<Vec<Shot>, NodeError> {
        if self.shots == 0 {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = training.iter().map(|row| row.cell_id.as_str()).collect();
        let mut taken: BTreeMap<usize, usize> = training.iter().map(|row| (row.class, 0)).collect();
        let mut shots = Vec::new();
        for at in shuffled(&names, self.seed, "prompt examples", repeat) {
            let row = training[at];
            let count = taken.entry(row.class).or_default();
            let genes: Vec<String> = genes.of(place(row)?).into_iter().map(str::to_owned).collect();
            if *count < self.shots && !genes.is_empty() {
                *count += 1;
                shots.push(Shot { genes, class: row.class });
            }
        }
        if let Some((class, count)) = taken.iter().find(|(_, count)| **count < self.shots) {
            return Err(NodeError::parameter(format!(
                "`shots` is {}, but class {class} has only {count} training cells with genes",
                self.shots
            ))
            .help("lower `shots`"));
        }
        Ok(shots)
    }

    /// Divides the cells of some rows into requests.
    fn part(&self, genes: &TopGenes, shots: Vec<Shot>, rows: Vec<Row>) -> Part {
        let asked: BTreeSet<usize> =
            rows.iter().map(|row| row.cell).filter(|&cell| !genes.of(cell).is_empty()).collect();
        let mut asked: Vec<usize> = asked.into_iter().collect();
        let mut not_sent = Vec::new();
        match self.template {
            // Files are often sorted by class: a batch of neighbours would answer itself.
            Template::Celldag1 => {
                let names: Vec<&str> = asked.iter().map(|&cell| genes.ids[cell].as_str()).collect();
                let order = shuffled(&names, self.seed, "prompt batches", 0);
                asked = order.into_iter().map(|at| asked[at]).collect();
            }
            Template::Scdrugmap => {
                not_sent = asked.split_off(asked.len() - asked.len() % self.cells_per_request);
            }
        }
        let batches = asked.chunks(self.cells_per_request).map(<[usize]>::to_vec).collect();
        Part { shots, batches, not_sent, rows }
    }
}
