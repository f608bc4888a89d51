//! The embedding artifact: AnnData without genes, the vectors in `obsm`, what they are in `uns["celldag"]`.

use std::path::Path;

use celldag_data::{DataError, H5adWriter, Table, WriteOptions};
use serde_json::Value;

/// Writes row-major `values` `[cells, dim]` as `obsm[name]` beside the cells' table.
pub(super) fn write(
    path: &Path,
    obs: &Table,
    name: &str,
    dim: usize,
    values: &[f32],
    provenance: &Value,
) -> Result<(), DataError> {
    let no_genes = Table::new(Vec::new());
    let mut file = H5adWriter::create(path, obs, &no_genes, &WriteOptions::default())?;
    file.obsm(name, dim, values)?;
    file.uns_json("celldag", provenance)?;
    file.finish()
}
