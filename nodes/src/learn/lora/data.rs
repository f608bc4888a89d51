//! Cells of a tokens file, divided so that training code cannot hold a test cell.

use std::collections::BTreeMap;

use celldag_engine::NodeError;

use crate::learn::split::{Role, SplitRow};

/// Where the cells of a tokens file are, and which of them have tokens.
#[derive(Clone, Debug)]
pub struct CellIndex {
    rows: BTreeMap<String, usize>,
    lengths: Vec<usize>,
}

/// Cells by number, without labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestCells {
    /// Cell names.
    pub names: Vec<String>,
    /// Number of each cell in the tokens file.
    pub rows: Vec<usize>,
}

/// Cells that may be trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledCells {
    /// Cell names.
    pub names: Vec<String>,
    /// Number of each cell in the tokens file.
    pub rows: Vec<usize>,
    /// Class index of each cell.
    pub class: Vec<usize>,
    /// A number of each cell that follows from its name: randomness of a cell is keyed by it.
    pub keys: Vec<u32>,
}

/// Everything that training may see: training and validation cells. There is no way to put a test cell in.
#[derive(Clone, Debug)]
pub struct TrainingCells {
    train: LabelledCells,
    validation: LabelledCells,
}

impl CellIndex {
    /// Of the names and numbers of tokens of all cells of a file.
    #[must_use]
    pub fn new(names: &[String], lengths: Vec<usize>) -> Self {
        Self { rows: names.iter().enumerate().map(|(row, name)| (name.clone(), row)).collect(), lengths }
    }

    /// Whether there is a cell of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.rows.contains_key(name)
    }

    /// Numbers of tokens of some cells.
    #[must_use]
    pub fn lengths(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.lengths[row]).collect()
    }

    /// Numbers of the cells of a role, in the order of the split.
    fn rows_of(&self, members: &[&SplitRow]) -> Result<Vec<usize>, NodeError> {
        let missing: Vec<&str> = names(members, |name| !self.contains(name));
        if let Some(first) = missing.first() {
            let (missing, all) = (missing.len(), members.len());
            return Err(NodeError::data(format!(
                "{missing} of {all} cells of the split are not among the tokens (for example `{first}`)"
            ))
            .help("make the split and the tokens from the same cells; those of another study belong on the port `external`"));
        }
        let rows: Vec<usize> =
            members.iter().filter_map(|row| self.rows.get(&row.cell_id).copied()).collect();
        let empty = names(members, |name| self.rows.get(name).is_some_and(|&row| self.lengths[row] == 0));
        if let Some(first) = empty.first() {
            return Err(NodeError::data(format!(
                "{} of {} cells of the split have no tokens (for example `{first}`)",
                empty.len(),
                members.len()
            ))
            .help("leave out cells without a gene that the model knows: `min_genes` of `qc`"));
        }
        Ok(rows)
    }
}

fn names<'a>(members: &[&'a SplitRow], wanted: impl Fn(&str) -> bool) -> Vec<&'a str> {
    members.iter().map(|row| row.cell_id.as_str()).filter(|name| wanted(name)).collect()
}

impl TrainingCells {
    /// Takes the training and validation cells of one fold and drops the test cells. Cells are put in the order of their
    /// names, so that the order of the file does not matter.
    ///
    /// # Errors
    /// A data error when cells have no tokens or nothing trains.
    pub fn of_fold(index: &CellIndex, fold: &[&SplitRow]) -> Result<Self, NodeError> {
        let part = |role: Role| -> Result<LabelledCells, NodeError> {
            let mut members: Vec<&SplitRow> = fold.iter().copied().filter(|row| row.role == role).collect();
            members.sort_by(|a, b| a.cell_id.cmp(&b.cell_id));
            Ok(LabelledCells {
                rows: index.rows_of(&members)?,
                names: members.iter().map(|row| row.cell_id.clone()).collect(),
                class: members.iter().map(|row| row.class).collect(),
                keys: members.iter().map(|row| key(&row.cell_id)).collect(),
            })
        };
        let (train, validation) = (part(Role::Train)?, part(Role::Validation)?);
        if train.rows.is_empty() {
            return Err(NodeError::data("the fold has no training cells"));
        }
        Ok(Self { train, validation })
    }

    /// The cells that fit the weights.
    #[must_use]
    pub fn train(&self) -> &LabelledCells {
        &self.train
    }

    /// The cells that choose the epoch; may be none.
    #[must_use]
    pub fn validation(&self) -> &LabelledCells {
        &self.validation
    }
}

impl TestCells {
    /// The test cells of a fold, without their labels, in the order of the split.
    ///
    /// # Errors
    /// A data error when cells have no tokens.
    pub fn of_fold(index: &CellIndex, fold: &[&SplitRow]) -> Result<Self, NodeError> {
        let members: Vec<&SplitRow> = fold.iter().copied().filter(|row| row.role == Role::Test).collect();
        let names = members.iter().map(|row| row.cell_id.clone()).collect();
        Ok(Self { rows: index.rows_of(&members)?, names })
    }
}

fn key(name: &str) -> u32 {
    let digest = blake3::derive_key("celldag lora-train cell 1", name.as_bytes());
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}
