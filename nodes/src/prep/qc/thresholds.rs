//! Thresholds on quality metrics. All bounds are inclusive, as in `filter_cells` and `filter_genes` of Scanpy.

use super::metrics::{CellMetrics, GeneMetrics};

/// Bounds on a cell; `None` does not bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CellFilter {
    /// Fewest genes with a count.
    pub min_genes: Option<u32>,
    /// Most genes with a count.
    pub max_genes: Option<u32>,
    /// Fewest counts.
    pub min_counts: Option<f64>,
    /// Most counts.
    pub max_counts: Option<f64>,
    /// Largest share of counts in the gene set `share_set`, 0 to 1. An empty cell, which has no share, passes.
    pub max_share: Option<f64>,
    /// Which gene set of the metrics `max_share` speaks about.
    pub share_set: usize,
}

/// One bound of a [`CellFilter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// [`CellFilter::min_genes`]
    MinGenes,
    /// [`CellFilter::max_genes`]
    MaxGenes,
    /// [`CellFilter::min_counts`]
    MinCounts,
    /// [`CellFilter::max_counts`]
    MaxCounts,
    /// [`CellFilter::max_share`]
    MaxShare,
}

impl Criterion {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::MinGenes, Self::MaxGenes, Self::MinCounts, Self::MaxCounts, Self::MaxShare];

    /// What is compared.
    #[must_use]
    pub fn value(self, metrics: &CellMetrics, filter: &CellFilter, cell: usize) -> f64 {
        match self {
            Self::MinGenes | Self::MaxGenes => f64::from(metrics.n_genes[cell]),
            Self::MinCounts | Self::MaxCounts => metrics.total_counts[cell],
            Self::MaxShare => metrics.set_share(filter.share_set, cell),
        }
    }

    /// What it is compared with, if bounded.
    #[must_use]
    pub fn bound(self, filter: &CellFilter) -> Option<f64> {
        match self {
            Self::MinGenes => filter.min_genes.map(f64::from),
            Self::MaxGenes => filter.max_genes.map(f64::from),
            Self::MinCounts => filter.min_counts,
            Self::MaxCounts => filter.max_counts,
            Self::MaxShare => filter.max_share,
        }
    }

    /// Whether `cell` violates this bound.
    #[must_use]
    pub fn fails(self, metrics: &CellMetrics, filter: &CellFilter, cell: usize) -> bool {
        let Some(bound) = self.bound(filter) else { return false };
        let value = self.value(metrics, filter, cell);
        match self {
            Self::MinGenes | Self::MinCounts => value < bound,
            Self::MaxGenes | Self::MaxCounts | Self::MaxShare => value > bound,
        }
    }
}

impl CellFilter {
    /// Whether `cell` passes every bound.
    #[must_use]
    pub fn keeps(&self, metrics: &CellMetrics, cell: usize) -> bool {
        !Criterion::ALL.iter().any(|criterion| criterion.fails(metrics, self, cell))
    }

    /// Per cell: passes.
    #[must_use]
    pub fn mask(&self, metrics: &CellMetrics) -> Vec<bool> {
        (0..metrics.len()).map(|cell| self.keeps(metrics, cell)).collect()
    }
}

/// Bounds on a gene; `None` does not bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GeneFilter {
    /// Fewest cells with a count.
    pub min_cells: Option<u32>,
    /// Most cells with a count.
    pub max_cells: Option<u32>,
    /// Fewest counts over all cells.
    pub min_counts: Option<f64>,
    /// Most counts over all cells.
    pub max_counts: Option<f64>,
}

impl GeneFilter {
    /// Per gene: passes every bound.
    #[must_use]
    pub fn mask(&self, metrics: &GeneMetrics) -> Vec<bool> {
        let passes = |(&cells, &counts): (&u32, &f64)| {
            self.min_cells.is_none_or(|min| cells >= min)
                && self.max_cells.is_none_or(|max| cells <= max)
                && self.min_counts.is_none_or(|min| counts >= min)
                && self.max_counts.is_none_or(|max| counts <= max)
        };
        metrics.n_cells.iter().zip(&metrics.total_counts).map(passes).collect()
    }
}
