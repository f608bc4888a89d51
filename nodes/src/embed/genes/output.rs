//! The gene embedding artifact: AnnData whose rows are genes.

use std::path::Path;

use celldag_data::{Column, DataError, Table};
use celldag_models::MeanVectors;
use serde_json::Value;

use super::super::output;

/// Writes the vectors `[genes, dim]` as `obsm[name]`, with the number of cells behind each mean in `obs["cells"]`.
pub(super) fn write(
    path: &Path,
    genes: &[String],
    name: &str,
    dim: usize,
    mean: &MeanVectors,
    provenance: &Value,
) -> Result<(), DataError> {
    let mut obs = Table { index_name: "gene".to_owned(), ..Table::new(genes.to_vec()) };
    let cells = mean.cells.iter().map(|&cells| Some(i64::from(cells))).collect();
    obs.columns.insert("cells".to_owned(), Column::Int(cells));
    output::write(path, &obs, name, dim, &mean.values, provenance)
}
