//! Highly variable genes in three flavours, and the kind that adds them to a file.
//!
//! `seurat`: dispersions of normalised counts, standardised in 20 bins of mean expression (Satija et al. 2015).
//! `cell_ranger`: the same on log values with medians in percentile bins (Zheng et al. 2017). `seurat_v3`: variance of
//! counts standardised by a local regression of variance on mean (Stuart et al. 2019).

mod bins;
mod dispersion;
mod kind;
mod loess;
mod select;
mod table;
mod variance;

pub use kind::Hvg;
pub use loess::{LoessFit, loess};
pub use table::{Batches, Cutoffs, Flavor, HvgError, HvgTable, Selection, Settings, Spread};

use crate::prep::Rows;

/// Finds highly variable genes.
///
/// `rows` are natural log1p values of normalised counts for [`Flavor::Seurat`] and [`Flavor::CellRanger`], raw counts
/// for [`Flavor::SeuratV3`]. With `batches` genes are ranked in each batch and the ranks combined, so that genes that
/// differ between batches only are not chosen.
///
/// # Errors
/// A batch of fewer than two cells, no gene that varies, or rows that cannot be read.
pub fn highly_variable_genes<R: Rows>(
    rows: &R,
    batches: Option<&Batches>,
    settings: &Settings,
) -> Result<HvgTable, HvgError<R::Error>> {
    let one = Batches::one(rows.n_rows());
    let groups = batches.unwrap_or(&one);
    for (batch, cells) in groups.sizes().into_iter().enumerate() {
        if cells < 2 {
            return Err(HvgError::SmallBatch { batch: groups.names[batch].clone(), cells });
        }
    }
    match settings.flavor {
        Flavor::Seurat | Flavor::CellRanger => {
            dispersion::by_dispersion(rows, groups, batches.is_some(), settings)
        }
        Flavor::SeuratV3 => variance::by_variance(rows, groups, batches.is_some(), settings),
    }
}
