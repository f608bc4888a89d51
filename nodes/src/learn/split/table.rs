//! The split artifact: which cell trains, validates and tests in which fold, as a plain table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use celldag_engine::NodeError;
use serde::{Deserialize, Serialize};

/// What a cell is used for in one fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Fits weights.
    Train,
    /// Chooses among fits (early stopping); seen during training.
    Validation,
    /// Measured once; never seen during training.
    Test,
}

impl Role {
    /// The word in the table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// One cell in one fold of one repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRow {
    /// Name of the cell in the cells file.
    pub cell_id: String,
    /// Repeat, from 0.
    pub repeat: u32,
    /// Fold within the repeat, from 0.
    pub fold: u32,
    /// What the cell is used for.
    pub role: Role,
    /// Its label as written in the cells file.
    pub label: String,
    /// Index of the label; with two classes 1 is the positive one.
    pub class: usize,
    /// Its group, empty without one.
    #[serde(default)]
    pub group: String,
}

/// All rows, in the order of repeat, fold and cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplitTable {
    /// The rows.
    pub rows: Vec<SplitRow>,
}

impl SplitTable {
    /// Reads the `.csv` that `split` writes.
    ///
    /// # Errors
    /// A data error that names the file and the line.
    pub fn read(path: &Path) -> Result<Self, NodeError> {
        let at = |e: csv::Error| {
            NodeError::data(format!("{}: {e}", path.display()))
                .help("a split has the columns cell_id, repeat, fold, role, label, class, group, as the kind `split` writes them")
        };
        let file = fs_err::File::open(path).map_err(|e| NodeError::data(e.to_string()))?;
        let rows: Vec<SplitRow> = csv::Reader::from_reader(std::io::BufReader::new(file))
            .deserialize()
            .collect::<Result<_, _>>()
            .map_err(at)?;
        if rows.is_empty() {
            return Err(NodeError::data(format!("{}: the split has no rows", path.display())));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = rows.iter().find(|row| !seen.insert((row.repeat, row.fold, &row.cell_id))) {
            return Err(NodeError::data(format!(
                "{}: cell {} is twice in repeat {}, fold {}",
                path.display(),
                twice.cell_id,
                twice.repeat,
                twice.fold
            ))
            .help(
                "a cell has one role in a fold: one that trains and is tested makes every figure worthless",
            ));
        }
        let table = Self { rows };
        table.classes(path)?;
        Ok(table)
    }

    /// Writes the `.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), NodeError> {
        let failed = |e: csv::Error| NodeError::failed(format!("{}: {e}", path.display()));
        let file = fs_err::File::create(path).map_err(|e| NodeError::failed(e.to_string()))?;
        let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
        for row in &self.rows {
            out.serialize(row).map_err(failed)?;
        }
        out.flush().map_err(|e| NodeError::failed(format!("{}: {e}", path.display())))
    }

    /// Labels by class index.
    ///
    /// # Errors
    /// When an index stands for two labels or an index is missing; `path` is for the message.
    pub fn classes(&self, path: &Path) -> Result<Vec<String>, NodeError> {
        let mut names: BTreeMap<usize, &str> = BTreeMap::new();
        for row in &self.rows {
            let known = names.entry(row.class).or_insert(&row.label);
            if *known != row.label {
                return Err(NodeError::data(format!(
                    "{}: class {} is `{known}` in one row and `{}` in another (cell {})",
                    path.display(),
                    row.class,
                    row.label,
                    row.cell_id
                )));
            }
        }
        if names.len() < 2 || names.keys().last() != Some(&(names.len() - 1)) {
            let list = names.iter().map(|(i, n)| format!("{i} = {n}")).collect::<Vec<_>>().join(", ");
            return Err(NodeError::data(format!(
                "{}: the classes of a split are numbered 0, 1, ... and there are at least two; found {list}",
                path.display()
            )));
        }
        Ok(names.into_values().map(str::to_owned).collect())
    }

    /// (repeat, fold) → rows, in order.
    #[must_use]
    pub fn folds(&self) -> BTreeMap<(u32, u32), Vec<&SplitRow>> {
        let mut folds: BTreeMap<(u32, u32), Vec<&SplitRow>> = BTreeMap::new();
        for row in &self.rows {
            folds.entry((row.repeat, row.fold)).or_default().push(row);
        }
        folds
    }
}

/// What the table cannot say: written beside it as `.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitInfo {
    /// How cells were divided (`stratified-k-fold` ...).
    pub kind: String,
    /// Number of folds in a repeat.
    pub folds: u32,
    /// Number of repeats.
    pub repeats: u32,
    /// Seed of the division.
    pub seed: u64,
    /// Column of the cells' table that holds the labels.
    pub label: String,
    /// Labels by class index.
    pub classes: Vec<String>,
    /// The positive class; absent with more than two classes.
    pub positive: Option<String>,
    /// Column that holds the groups.
    pub group: Option<String>,
    /// All groups, sorted.
    pub groups: Vec<String>,
    /// Cells divided.
    pub cells: usize,
    /// Cells left out (missing or excluded label, not in the file of folds).
    pub left_out: usize,
    /// Share of the cells of a held-out group that train (few-shot learning).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub few_shot_fraction: Option<f64>,
    /// Leaks and other things to know.
    pub warnings: Vec<String>,
    /// Numbers of cells per fold.
    pub counts: Vec<FoldCounts>,
}

/// Cells of one fold by role and class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FoldCounts {
    /// Repeat.
    pub repeat: u32,
    /// Fold.
    pub fold: u32,
    /// Training cells by class index.
    pub train: Vec<usize>,
    /// Validation cells by class index.
    pub validation: Vec<usize>,
    /// Test cells by class index.
    pub test: Vec<usize>,
}

impl SplitInfo {
    /// Reads the `.json`.
    ///
    /// # Errors
    /// A data error that names the file.
    pub fn read(path: &Path) -> Result<Self, NodeError> {
        let text = fs_err::read_to_string(path).map_err(|e| NodeError::data(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| NodeError::data(format!("{}: {e}", path.display())))
    }
}

/// `3`, or `1/3` in a later repeat: how reports name a fold.
#[must_use]
pub fn fold_name(repeat: u32, fold: u32) -> String {
    if repeat > 0 { format!("{repeat}/{fold}") } else { fold.to_string() }
}
