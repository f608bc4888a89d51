//! Principal components of each fold, exactly as the published baseline figures were made.
//!
//! Counts to 10,000 a cell, ln(1 + x), genes in at least 3 training cells, 2,000 highly variable genes (seurat), scaled
//! and clipped above 10 (not below), 50 components. All but the first two steps are fitted on the training cells.

use std::convert::Infallible;

use celldag_data::Csr;

use super::components::leading_components;
use crate::prep::hvg::{Flavor, HvgError, Settings, highly_variable_genes};
use crate::prep::normalize::{Normalization, log1p, size_factors};
use crate::prep::pca::Scaling;
use crate::prep::{GeneMoments, Rows, SparseRows};

const LEAST_CELLS: u32 = 3;
const GENES: usize = 2000;
const CLIP: f64 = 10.0;
const COMPONENTS: usize = 50;

/// Log-normalised cells, ready for any number of folds.
#[derive(Clone, Debug)]
pub struct LogCells {
    log: Csr,
}

/// Numbers of some cells, `dim` each, cell after cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Numbers of a cell.
    pub dim: usize,
    /// Cell after cell.
    pub values: Vec<f64>,
}

/// Why a fold has no such baseline.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BaselineError {
    /// The split names none for this fold.
    #[error("the split has no training cells")]
    NoCells,
    /// Fewer than two classes to learn from.
    #[error("the training cells hold only one class")]
    OneClass,
    /// Nothing varies, or too few cells.
    #[error("no highly variable genes among the training cells: {0}")]
    Genes(String),
    /// The eigenvalue solver failed.
    #[error("principal components could not be computed")]
    Components,
    /// The perceptron could not be trained.
    #[error("the perceptron: {0}")]
    Training(String),
}

impl From<Infallible> for BaselineError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Features {
    /// The numbers of each cell.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks(self.dim.max(1))
    }
}

impl LogCells {
    /// Normalises counts (cells × genes).
    ///
    /// # Errors
    /// None: a matrix in memory can always be walked.
    pub fn new(mut counts: Csr) -> Result<Self, BaselineError> {
        let factors = size_factors(&SparseRows::all(&counts), &Normalization::default())?.factors;
        counts.map_values(|row, _, value| log1p(f64::from(value) / factors[row], None) as f32);
        Ok(Self { log: counts })
    }

    /// Components of the rows `train` and of the rows `test`, everything fitted on `train`.
    ///
    /// # Errors
    /// When nothing varies among the training cells.
    pub fn fold(&self, train: &[usize], test: &[usize]) -> Result<(Features, Features), BaselineError> {
        let keep = self.genes(train)?;
        let (train, test) = (SparseRows::subset(&self.log, train), SparseRows::subset(&self.log, test));
        let (train, test) = (train.genes(&keep), test.genes(&keep));
        let scaling = Scaling::fit(&train, true, Some(CLIP))?;
        let dense = scaling.dense(&train)?;
        let components =
            leading_components(dense.data(), train.n_cols(), COMPONENTS).ok_or(BaselineError::Components)?;
        let dim = components.count;
        let train = Features { dim, values: components.scores(dense.data()) };
        drop(dense);
        Ok((train, Features { dim, values: components.scores(scaling.dense(&test)?.data()) }))
    }

    /// The rows on their own leading components: what a zero-shot embedding is compared with.
    ///
    /// # Errors
    /// When nothing varies.
    pub fn components(&self, rows: &[usize]) -> Result<Features, BaselineError> {
        Ok(self.fold(rows, &[])?.0)
    }

    /// The rows in their own highly variable genes, scaled: the embedding that needs no model at all.
    ///
    /// # Errors
    /// When nothing varies.
    pub fn variable_genes(&self, rows: &[usize]) -> Result<Features, BaselineError> {
        let keep = self.genes(rows)?;
        let rows = SparseRows::subset(&self.log, rows);
        let rows = rows.genes(&keep);
        let dense = Scaling::fit(&rows, true, Some(CLIP))?.dense(&rows)?;
        Ok(Features { dim: rows.n_cols(), values: dense.data().to_vec() })
    }

    /// Genes seen in enough training cells that are highly variable among them.
    fn genes(&self, train: &[usize]) -> Result<Vec<bool>, BaselineError> {
        let rows = SparseRows::subset(&self.log, train);
        let moments = GeneMoments::of(&rows)?;
        let mut keep: Vec<bool> = (0..moments.n_cols()).map(|g| moments.nonzero(g) >= LEAST_CELLS).collect();
        let table = highly_variable_genes(&rows.genes(&keep), None, &Settings::top(Flavor::Seurat, GENES))
            .map_err(|e: HvgError<Infallible>| BaselineError::Genes(e.to_string()))?;
        let mut chosen = table.highly_variable.into_iter();
        for kept in keep.iter_mut().filter(|k| **k) {
            *kept = chosen.next().unwrap_or(false);
        }
        if keep.contains(&true) { Ok(keep) } else { Err(BaselineError::Genes("none was chosen".to_owned())) }
    }
}
