//! Embeddings of cells, divided so that training code cannot hold a test cell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use celldag_data::CellsFile;
use celldag_engine::{NodeError, Step};
use serde_json::Value;

use crate::learn::failure;
use crate::learn::split::{Role, SplitRow};

/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// One vector a cell, from `obsm` of an AnnData file.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// Name of the array in `obsm`.
    pub key: String,
    /// Cell names.
    pub ids: Vec<String>,
    /// Length of a vector.
    pub dim: usize,
    /// Vectors cell after cell.
    pub values: Vec<f32>,
    /// What made the vectors (`uns["celldag"]`); `Null` when the file does not say.
    pub provenance: Value,
    index: BTreeMap<String, usize>,
}

impl Embedding {
    /// Takes vectors, `dim` values a cell.
    #[must_use]
    pub fn new(key: String, ids: Vec<String>, dim: usize, values: Vec<f32>) -> Self {
        let index = ids.iter().enumerate().map(|(row, id)| (id.clone(), row)).collect();
        Self { key, ids, dim, values, provenance: Value::Null, index }
    }

    /// Reads `obsm[key]`; without a key the only array there is. Vectors may be NaN (cells without a known gene); see
    /// [`Embedding::require_finite`].
    ///
    /// # Errors
    /// A data error when the file cannot be read, a parameter error when the key is unknown or must be named.
    pub fn read(path: &Path, key: Option<&str>) -> Result<Self, NodeError> {
        let file = CellsFile::open(path).map_err(failure::data)?;
        let names = file.obsm_names();
        let key = match (key, names.as_slice()) {
            (Some(key), _) if names.iter().any(|n| n == key) => key.to_owned(),
            (Some(key), _) => {
                return Err(NodeError::parameter(format!(
                    "{}: obsm has no `{key}`; there are: {}",
                    path.display(),
                    names.join(", ")
                ))
                .help("set `key` to one of these, or leave it out when there is only one"));
            }
            (None, [only]) => only.clone(),
            (None, []) => {
                return Err(NodeError::data(format!(
                    "{}: obsm is empty: the file holds no embedding",
                    path.display()
                ))
                .help("use the output of `embed` or `pca`"));
            }
            (None, _) => {
                return Err(NodeError::parameter(format!(
                    "{}: obsm holds several arrays: {}",
                    path.display(),
                    names.join(", ")
                ))
                .help("say which one with `key: NAME`"));
            }
        };
        let (_, dim, values) = file.obsm(&key).map_err(failure::data)?;
        let provenance = match file.uns("celldag").map_err(failure::data)? {
            Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::Null),
            other => other.unwrap_or(Value::Null),
        };
        Ok(Self { provenance, ..Self::new(key, file.obs().index.clone(), dim, values) })
    }

    /// Reads the port `embedding`, and behind it the cells of the port `external` when a file stands there.
    ///
    /// # Errors
    /// As [`Embedding::read`]; a data error when the two do not fit.
    pub fn of_step(step: &Step<'_>, key: Option<&str>) -> Result<Self, NodeError> {
        Self::of_ports(step, "external", key)
    }

    /// The same with another name of the second port.
    ///
    /// # Errors
    /// As [`Embedding::of_step`].
    pub fn of_ports(step: &Step<'_>, external: &str, key: Option<&str>) -> Result<Self, NodeError> {
        let own = Self::read(&step.input("embedding")?.path, key)?;
        match step.optional_input(external) {
            Some(input) => {
                let other = Self::read(&input.path, key)?;
                if own.provenance.is_null() && other.provenance.is_null() {
                    step.warn(
                        "neither file says what made its vectors (uns[\"celldag\"]): that both are of one model with the same \
                         weights and options cannot be checked",
                    );
                }
                own.join(other)
            }
            None => Ok(own),
        }
    }

    /// The cells of both, which must be vectors of one model with the same weights and options, and differ in their names.
    fn join(mut self, other: Self) -> Result<Self, NodeError> {
        if (&self.key, self.dim) != (&other.key, other.dim) {
            return Err(NodeError::data(format!(
                "the embeddings of the cells and of the external cells are not of one model: obsm/{} with {} dimensions and \
                 obsm/{} with {}",
                self.key, self.dim, other.key, other.dim
            ))
            .help("embed both files with the same model, checkpoint and options"));
        }
        if let Some(what) = different(&self.provenance, &other.provenance) {
            return Err(NodeError::data(format!(
                "the embeddings of the cells and of the external cells were made differently: {what}. A head that learns on the one \
                 knows nothing of the other"
            ))
            .help("embed both files with the same model, checkpoint and options"));
        }
        if let Some(id) = other.ids.iter().find(|id| self.index.contains_key(*id)) {
            return Err(NodeError::data(format!(
                "cell `{id}` is among the cells and among the external cells"
            ))
            .help("give cells names that say their study"));
        }
        self.ids.extend(other.ids);
        self.values.extend(other.values);
        Ok(Self { provenance: self.provenance, ..Self::new(self.key, self.ids, self.dim, self.values) })
    }

    /// Row of a cell.
    #[must_use]
    pub fn row_of(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// Vector in row `row`.
    #[must_use]
    pub fn vector(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..(row + 1) * self.dim]
    }

    /// Whether all values of a row are finite numbers.
    #[must_use]
    pub fn is_finite(&self, row: usize) -> bool {
        self.vector(row).iter().all(|v| v.is_finite())
    }

    /// Makes sure that the named cells have finite vectors. Cells that are not in the embedding are not looked at, nor
    /// is any other cell.
    ///
    /// # Errors
    /// A data error that counts such cells and names the first three.
    pub fn require_finite<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), NodeError> {
        let ids: BTreeSet<&str> = ids.into_iter().collect();
        let bad: Vec<String> = ids
            .iter()
            .filter(|id| self.row_of(id).is_some_and(|row| !self.is_finite(row)))
            .map(|id| format!("`{id}`"))
            .collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(NodeError::data(format!(
            "obsm/{}: {} of {} cells of the split have an embedding that is NaN or infinite: {}{}",
            self.key,
            bad.len(),
            ids.len(),
            bad[..bad.len().min(3)].join(", "),
            if bad.len() > 3 { ", ..." } else { "" }
        ))
        .help("cells without a gene that the model knows have no embedding; leave such cells out: `min_genes` of `qc`"))
    }

    /// Vectors of the named cells.
    fn take(&self, rows: &[&SplitRow]) -> Result<FeatureRows, NodeError> {
        let mut out = FeatureRows { ids: Vec::new(), dim: self.dim, values: Vec::new() };
        let mut missing = Vec::new();
        for row in rows {
            match self.row_of(&row.cell_id) {
                Some(at) => {
                    out.ids.push(row.cell_id.clone());
                    out.values.extend_from_slice(self.vector(at));
                }
                None => missing.push(row.cell_id.as_str()),
            }
        }
        if let Some(first) = missing.first() {
            return Err(NodeError::data(format!(
                "{} of {} cells of the split have no vector in the embedding (for example `{first}`)",
                missing.len(),
                rows.len()
            ))
            .help("make the split and the embedding from the same cells"));
        }
        Ok(out)
    }
}

/// Vectors of cells, without labels.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRows {
    /// Cell names.
    pub ids: Vec<String>,
    /// Length of a vector.
    pub dim: usize,
    /// Vectors cell after cell.
    pub values: Vec<f32>,
}

/// Vectors and class indices of cells that may be trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledRows {
    /// The vectors.
    pub rows: FeatureRows,
    /// Class index per cell.
    pub class: Vec<usize>,
}

/// Everything that training may see: training and validation cells. There is no way to put a test cell in.
#[derive(Clone, Debug)]
pub struct TrainingData {
    train: LabelledRows,
    validation: Option<LabelledRows>,
}

impl TrainingData {
    /// Takes the training and validation rows of one fold out of an embedding and drops the test rows. Cells are put in
    /// the order of their names, so that the order of the file does not matter.
    ///
    /// # Errors
    /// A data error when cells have no vector or nothing trains.
    pub fn of_fold(embedding: &Embedding, fold: &[&SplitRow]) -> Result<Self, NodeError> {
        let part = |role: Role| -> Result<LabelledRows, NodeError> {
            let mut rows: Vec<&SplitRow> = fold.iter().copied().filter(|r| r.role == role).collect();
            rows.sort_by(|a, b| a.cell_id.cmp(&b.cell_id));
            Ok(LabelledRows { rows: embedding.take(&rows)?, class: rows.iter().map(|r| r.class).collect() })
        };
        let (train, validation) = (part(Role::Train)?, part(Role::Validation)?);
        if train.class.is_empty() {
            return Err(NodeError::data("the fold has no training cells"));
        }
        Ok(Self { train, validation: (!validation.class.is_empty()).then_some(validation) })
    }

    /// The cells that fit the weights.
    #[must_use]
    pub fn train(&self) -> &LabelledRows {
        &self.train
    }

    /// The cells that choose the epoch.
    #[must_use]
    pub fn validation(&self) -> Option<&LabelledRows> {
        self.validation.as_ref()
    }

    /// The same cells with changed vectors.
    #[must_use]
    pub fn map(mut self, change: impl Fn(&mut FeatureRows)) -> Self {
        change(&mut self.train.rows);
        if let Some(validation) = &mut self.validation {
            change(&mut validation.rows);
        }
        self
    }
}

impl FeatureRows {
    /// The test cells of a fold, without their labels.
    ///
    /// # Errors
    /// A data error when cells have no vector.
    pub fn test_of_fold(embedding: &Embedding, fold: &[&SplitRow]) -> Result<Self, NodeError> {
        embedding.take(&fold.iter().copied().filter(|r| r.role == Role::Test).collect::<Vec<_>>())
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Vector of cell `i`.
    #[must_use]
    pub fn vector(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// Vectors of some cells, one after the other.
    #[must_use]
    pub fn gather(&self, cells: &[usize]) -> Vec<f32> {
        cells.iter().flat_map(|&c| self.vector(c).iter().copied()).collect()
    }
}

/// What two records of how vectors were made disagree in; `None` when they agree.
fn different(a: &Value, b: &Value) -> Option<String> {
    if a == b {
        return None;
    }
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return Some("one of the files does not say what made its vectors".to_owned());
    };
    let names: BTreeSet<&String> =
        a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name)).collect();
    let shown = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.chars().take(SHOWN).collect()
        }
    };
    let one = |name: &&String| format!("{name} is {} and {}", shown(a.get(*name)), shown(b.get(*name)));
    Some(names.iter().map(one).collect::<Vec<_>>().join("; "))
}
