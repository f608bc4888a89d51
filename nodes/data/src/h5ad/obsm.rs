//! Embeddings and coordinates: one row of numbers per cell.

use super::{H5adFile, record};
use crate::DataError;
use crate::h5::Numbers;

impl H5adFile {
    /// Names of the numeric arrays in `obsm`; tables and sparse matrices are not listed.
    pub(crate) fn obsm_names(&self) -> Vec<String> {
        if self.h5.is_dataset("obsm") {
            return record::array_fields(&self.h5, "obsm").unwrap_or_default();
        }
        let members =
            if self.h5.is_group("obsm") { self.h5.members("obsm").unwrap_or_default() } else { Vec::new() };
        let is_array = |name: &String| self.h5.dataset(&format!("obsm/{name}")).is_ok_and(|d| d.is_number());
        members.into_iter().filter(is_array).collect()
    }

    /// Number of cells, dimensions, values cell after cell.
    pub(crate) fn obsm(&self, name: &str, n_cells: usize) -> Result<(usize, usize, Vec<f32>), DataError> {
        let path = format!("obsm/{name}");
        let (dimensions, values) = if self.h5.is_dataset("obsm") {
            record::array(&self.h5, "obsm", name)?
        } else {
            if !self.h5.exists(&path) {
                let names = self.obsm_names().into_iter().map(|known| format!("obsm/{known}")).collect();
                return Err(DataError::missing(self.path(), path, names));
            }
            let dataset = self.h5.dataset(&path)?;
            let dimensions = match *dataset.shape() {
                [_] => 1,
                [_, dimensions] => dimensions,
                _ => {
                    return Err(
                        dataset.malformed(format!("two dimensions were expected, not {:?}", dataset.shape()))
                    );
                }
            };
            let rows = dataset.shape()[0];
            let numbers = if dataset.shape().len() == 1 {
                dataset.numbers_in(0..rows)
            } else {
                dataset.rows_in(0..rows)
            };
            let values = match numbers? {
                Numbers::F32(values) => values,
                Numbers::F64(values) => values.into_iter().map(|value| value as f32).collect(),
            };
            (dimensions, values)
        };
        if values.len() != n_cells * dimensions {
            let problem = format!("{} values for {n_cells} cells × {dimensions}", values.len());
            return Err(self.h5.malformed(&path, problem));
        }
        Ok((n_cells, dimensions, values))
    }
}
