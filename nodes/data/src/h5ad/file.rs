//! An AnnData file: its tables, its matrices, its version's way of naming them.

use std::path::Path;
use std::sync::Arc;

use super::frame;
use crate::cells::{Layout, MatrixRef, Source, SparseOnDisk, Store};
use crate::h5::H5File;
use crate::{DataError, Table};

/// An open AnnData file.
#[derive(Debug)]
pub(crate) struct H5adFile {
    pub(super) h5: H5File,
    raw_var: Option<Arc<Table>>,
    /// Name for the user, name in the file.
    matrices: Vec<(String, String)>,
}

/// Reads the tables and the list of matrices.
pub(crate) fn read(h5: &H5File) -> Result<Layout, DataError> {
    if !h5.exists("obs") && !h5.exists("X") {
        let members = h5.members("/")?;
        let what =
            if h5.exists("row_attrs") && h5.exists("col_attrs") { "a Loom file" } else { "an HDF5 file" };
        let found = format!("{what} with the members {}", crate::error::list(&members));
        return Err(DataError::UnknownFormat { path: h5.path().to_owned(), found });
    }
    let mut warnings = Vec::new();
    let obs = frame::read(h5, "obs", &mut warnings)?;
    let var = frame::read(h5, "var", &mut warnings)?;
    if let Some((gene, first, second)) = var.first_duplicate() {
        warnings.push(format!("the gene name `{gene}` occurs twice in var, in rows {first} and {second}"));
    }
    // Before 0.7 the raw matrix lay at the top level under names with a dot.
    let raw = ["raw/", "raw."].into_iter().find(|prefix| h5.exists(&format!("{prefix}X")));
    let raw_var = match raw {
        Some(prefix) => Some(Arc::new(frame::read(h5, &format!("{prefix}var"), &mut warnings)?)),
        None => None,
    };
    let mut matrices = Vec::new();
    if h5.exists("X") && !is_null(h5, "X") {
        matrices.push(("X".to_owned(), "X".to_owned()));
    }
    if h5.is_group("layers") {
        let layers = h5.members("layers")?;
        matrices.extend(layers.iter().map(|name| (format!("layers/{name}"), format!("layers/{name}"))));
    }
    if let Some(prefix) = raw {
        matrices.push(("raw/X".to_owned(), format!("{prefix}X")));
    }
    let file = H5adFile { h5: h5.clone(), raw_var, matrices };
    Ok(Layout { format: "h5ad", obs, var: Arc::new(var), source: Source::H5ad(file), warnings })
}

/// anndata ≥ 0.12 may write an absent X as an empty dataset.
fn is_null(h5: &H5File, name: &str) -> bool {
    h5.attr_text(name, "encoding-type").as_deref() == Some("null")
}

impl H5adFile {
    pub(super) fn path(&self) -> &Path {
        self.h5.path()
    }

    pub(crate) fn matrices(&self) -> Vec<String> {
        self.matrices.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Opens the matrix `name` and checks its shape against the tables.
    pub(crate) fn matrix(
        &self,
        name: &str,
        n_cells: usize,
        var: &Arc<Table>,
    ) -> Result<MatrixRef, DataError> {
        let Some((_, inner)) = self.matrices.iter().find(|(known, _)| known == name) else {
            return Err(DataError::missing(self.path(), name, self.matrices()));
        };
        let var = match &self.raw_var {
            Some(raw) if name == "raw/X" => raw,
            _ => var,
        };
        let expected = [n_cells, var.len()];
        let store = if self.h5.is_group(inner) {
            self.sparse(inner, expected)?
        } else {
            self.dense(inner, expected)?
        };
        Ok(MatrixRef::new(name, n_cells, Arc::clone(var), store, None))
    }

    fn sparse(&self, name: &str, expected: [usize; 2]) -> Result<Store, DataError> {
        let attribute = |new, old| self.h5.attr_text(name, new).or_else(|| self.h5.attr_text(name, old));
        let encoding = attribute("encoding-type", "h5sparse_format").unwrap_or_default();
        let shape = self.h5.attr_ints(name, "shape").or_else(|| self.h5.attr_ints(name, "h5sparse_shape"));
        let Some(shape) = shape else {
            return Err(self.h5.malformed(name, "its attribute `shape` is missing"));
        };
        self.expect_shape(name, &shape, expected)?;
        let [cells, genes] = expected;
        match encoding.as_str() {
            "csr_matrix" | "csr" => Ok(Store::Rows(SparseOnDisk::open(&self.h5, name, cells, genes)?)),
            "csc_matrix" | "csc" => Ok(Store::Columns(SparseOnDisk::open(&self.h5, name, genes, cells)?)),
            other => Err(self.h5.malformed(name, format!("`{other}` is no encoding of a matrix"))),
        }
    }

    fn dense(&self, name: &str, expected: [usize; 2]) -> Result<Store, DataError> {
        let dataset = self.h5.dataset(name)?;
        let shape: Vec<i64> = dataset.shape().iter().map(|&n| n as i64).collect();
        self.expect_shape(name, &shape, expected)?;
        if !dataset.is_number() {
            return Err(dataset.malformed(format!("numbers were expected, it holds {}", dataset.kind_name())));
        }
        Ok(Store::Dense(dataset))
    }

    fn expect_shape(&self, name: &str, shape: &[i64], expected: [usize; 2]) -> Result<(), DataError> {
        if *shape == expected.map(|n| n as i64) {
            return Ok(());
        }
        let [cells, genes] = expected;
        let problem = format!("its shape is {shape:?}, but the tables have {cells} cells and {genes} genes");
        Err(self.h5.malformed(name, problem))
    }
}
