//! What the search for highly variable genes is asked and what it answers.

use thiserror::Error;

/// Which definition of "highly variable".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Satija et al. 2015, on log1p of normalised counts.
    Seurat,
    /// Zheng et al. 2017, on log1p of normalised counts.
    CellRanger,
    /// Stuart et al. 2019, on counts.
    SeuratV3,
}

/// Bounds, all exclusive, on mean and standardised dispersion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cutoffs {
    /// Mean above this.
    pub min_mean: f64,
    /// Mean below this.
    pub max_mean: f64,
    /// Standardised dispersion above this.
    pub min_disp: f64,
    /// Standardised dispersion below this.
    pub max_disp: f64,
}

impl Default for Cutoffs {
    fn default() -> Self {
        Self { min_mean: 0.0125, max_mean: 3.0, min_disp: 0.5, max_disp: f64::INFINITY }
    }
}

/// How genes are chosen once they are scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Selection {
    /// This many. Without batches the dispersion flavours also take every gene that ties with the last one.
    Top(usize),
    /// Those within bounds; dispersion flavours only.
    Within(Cutoffs),
}

/// The whole question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Definition.
    pub flavor: Flavor,
    /// Choice.
    pub selection: Selection,
    /// Bins of mean expression; `seurat` only.
    pub n_bins: usize,
    /// Share of genes in a local fit, above 0 and up to 1; `seurat_v3` only.
    pub span: f64,
}

impl Settings {
    /// The `n` most variable genes with the usual 20 bins or span 0.3.
    #[must_use]
    pub fn top(flavor: Flavor, n: usize) -> Self {
        Self { flavor, selection: Selection::Top(n), n_bins: 20, span: 0.3 }
    }
}

/// Which batch each cell belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches {
    /// Names, in the order in which batches are combined.
    pub names: Vec<String>,
    /// Per cell: index into `names`.
    pub of_cell: Vec<u32>,
}

impl Batches {
    /// All cells in one nameless batch.
    #[must_use]
    pub fn one(cells: usize) -> Self {
        Self { names: vec!["all cells".to_owned()], of_cell: vec![0; cells] }
    }

    /// Batches from one name a cell; names in alphabetical order.
    #[must_use]
    pub fn by_name(cells: &[String]) -> Self {
        let names: std::collections::BTreeSet<&str> = cells.iter().map(String::as_str).collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let index = |cell: &String| names.partition_point(|name| name < cell) as u32;
        Self { of_cell: cells.iter().map(index).collect(), names }
    }

    /// Number of cells of each batch.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.names.len()];
        for &batch in &self.of_cell {
            sizes[batch as usize] += 1;
        }
        sizes
    }
}

/// The scores behind a choice, one element a gene.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// `seurat` and `cell_ranger`.
    Dispersion {
        /// Variance over mean (`seurat`: its natural logarithm, NaN without variance); mean over batches.
        dispersions: Vec<f64>,
        /// Standardised within the bin of the gene's mean; mean over batches.
        dispersions_norm: Vec<f64>,
    },
    /// `seurat_v3`.
    Variance {
        /// Variance of counts over all cells.
        variances: Vec<f64>,
        /// Variance of standardised, clipped counts; mean over batches.
        variances_norm: Vec<f64>,
        /// Rank from 0 among the chosen; median over the batches in which the gene is among the top, NaN otherwise.
        rank: Vec<f64>,
    },
}

/// Result of [`highly_variable_genes`](super::highly_variable_genes), one element a gene.
#[derive(Clone, Debug, PartialEq)]
pub struct HvgTable {
    /// Chosen.
    pub highly_variable: Vec<bool>,
    /// Mean expression (`seurat`: ln(1 + mean of normalised counts)).
    pub means: Vec<f64>,
    /// Scores.
    pub spread: Spread,
    /// With batches: in how many of them the gene is chosen.
    pub n_batches: Option<Vec<u32>>,
    /// With batches, dispersion flavours: chosen in all of them.
    pub intersection: Option<Vec<bool>>,
    /// What the user should know about the fit.
    pub warnings: Vec<String>,
}

impl HvgTable {
    /// Number of chosen genes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.highly_variable.iter().filter(|&&chosen| chosen).count()
    }
}

/// Why no genes could be chosen.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum HvgError<E> {
    /// A variance needs two cells.
    #[error("batch `{batch}` has {cells} cell(s); a variance needs at least two")]
    SmallBatch {
        /// Name of the batch.
        batch: String,
        /// Its number of cells.
        cells: usize,
    },
    /// Every gene has the same value in all cells.
    #[error("no gene varies between the cells of {batch}")]
    NothingVaries {
        /// Name of the batch.
        batch: String,
    },
    /// The rows could not be read.
    #[error("{0}")]
    Rows(E),
}
