//! Logistic regression on principal components, exactly as the published baseline figures were made.
//!
//! Counts to 10,000 a cell, ln(1 + x), genes in at least 3 training cells, 2,000 highly variable genes (seurat), scaled
//! and clipped above 10 (not below), 50 components, L2 logistic regression with C = 1. All but the first two steps are
//! fitted on the training cells.

use std::convert::Infallible;

use celldag_data::Csr;

use super::components::leading_components;
use super::logistic::LogisticRegression;
use crate::prep::hvg::{Flavor, HvgError, Settings, highly_variable_genes};
use crate::prep::normalize::{Normalization, log1p, size_factors};
use crate::prep::pca::Scaling;
use crate::prep::{GeneMoments, Rows, SparseRows};

const LEAST_CELLS: u32 = 3;
const GENES: usize = 2000;
const CLIP: f64 = 10.0;
const COMPONENTS: usize = 50;
const C: f64 = 1.0;

/// Log-normalised cells, ready for any number of folds.
#[derive(Clone, Debug)]
pub struct PcaLogistic {
    log: Csr,
}

/// Why a fold has no such baseline.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BaselineError {
    /// Fewer than two classes to learn from.
    #[error("the training cells hold only one class")]
    OneClass,
    /// Nothing varies, or too few cells.
    #[error("no highly variable genes among the training cells: {0}")]
    Genes(String),
    /// The eigenvalue solver failed.
    #[error("principal components could not be computed")]
    Components,
}

impl From<Infallible> for BaselineError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl PcaLogistic {
    /// Normalises counts (cells × genes).
    ///
    /// # Errors
    /// None: a matrix in memory can always be walked.
    pub fn new(mut counts: Csr) -> Result<Self, BaselineError> {
        let factors = size_factors(&SparseRows::all(&counts), &Normalization::default())?.factors;
        counts.map_values(|row, _, value| log1p(f64::from(value) / factors[row], None) as f32);
        Ok(Self { log: counts })
    }

    /// Fits on the rows `train`, whose classes are `class`, and gives the probability of each class for the rows
    /// `test`.
    ///
    /// # Errors
    /// When the training cells hold one class or nothing varies.
    pub fn predict(
        &self,
        train: &[usize],
        class: &[usize],
        classes: usize,
        test: &[usize],
    ) -> Result<Vec<Vec<f64>>, BaselineError> {
        if class.iter().all(|&c| Some(c) == class.first().copied()) {
            return Err(BaselineError::OneClass);
        }
        let keep = self.genes(train)?;
        let (train, test) = (SparseRows::subset(&self.log, train), SparseRows::subset(&self.log, test));
        let (train, test) = (train.genes(&keep), test.genes(&keep));
        let scaling = Scaling::fit(&train, true, Some(CLIP))?;
        let features = train.n_cols();
        let dense = scaling.dense(&train)?;
        let components =
            leading_components(dense.data(), features, COMPONENTS).ok_or(BaselineError::Components)?;
        let model =
            LogisticRegression::fit(&components.scores(dense.data()), components.count, class, classes, C);
        drop(dense);
        let scores = components.scores(scaling.dense(&test)?.data());
        Ok(scores.chunks(components.count.max(1)).map(|row| model.probabilities(row)).collect())
    }

    /// Scores of the rows on their own leading components, row after row, and how many there are: what a zero-shot
    /// embedding is compared with.
    ///
    /// # Errors
    /// When nothing varies.
    pub fn components(&self, rows: &[usize]) -> Result<(usize, Vec<f64>), BaselineError> {
        let keep = self.genes(rows)?;
        let rows = SparseRows::subset(&self.log, rows);
        let rows = rows.genes(&keep);
        let dense = Scaling::fit(&rows, true, Some(CLIP))?.dense(&rows)?;
        let components =
            leading_components(dense.data(), rows.n_cols(), COMPONENTS).ok_or(BaselineError::Components)?;
        Ok((components.count, components.scores(dense.data())))
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
