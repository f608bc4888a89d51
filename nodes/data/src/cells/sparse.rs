//! A compressed sparse matrix on disk: three HDF5 datasets, of which only `indptr` is held in memory.

use std::sync::Arc;

use crate::csr::check_offsets;
use crate::h5::{H5Dataset, H5File};
use crate::{CsrError, DataError};

/// `indptr` over the major axis (cells in CSR, genes in CSC), `indices` into the minor axis, values.
#[derive(Debug, Clone)]
pub(crate) struct SparseOnDisk {
    pub(super) indptr: Arc<Vec<u64>>,
    pub(super) indices: H5Dataset,
    pub(super) values: H5Dataset,
    pub(super) minor: usize,
}

impl SparseOnDisk {
    /// Opens `group/indptr`, `group/indices` and `group/data` and checks that they fit each other and the shape.
    pub(crate) fn open(h5: &H5File, group: &str, major: usize, minor: usize) -> Result<Self, DataError> {
        if u32::try_from(minor).is_err() || u32::try_from(major).is_err() {
            return Err(h5.malformed(group, format!("{major} × {minor} is more than 2^32 rows or columns")));
        }
        let pointers = h5.dataset(&format!("{group}/indptr"))?;
        let indices = h5.dataset(&format!("{group}/indices"))?;
        let values = h5.dataset(&format!("{group}/data"))?;
        let (n_indices, n_values) = (indices.expect_list()?, values.expect_list()?);
        if n_indices != n_values {
            return Err(indices.malformed(format!("it has {n_indices} elements, data has {n_values}")));
        }
        if !values.is_number() {
            return Err(values.malformed(format!("numbers were expected, it holds {}", values.kind_name())));
        }
        let length = pointers.expect_list()?;
        if length != major + 1 {
            let problem = format!("it has {length} elements, {} were expected for the shape", major + 1);
            return Err(pointers.malformed(problem));
        }
        let indptr = pointers
            .i64s()?
            .into_iter()
            .map(|offset| {
                u64::try_from(offset).map_err(|_| pointers.malformed(format!("{offset} is negative")))
            })
            .collect::<Result<Vec<u64>, DataError>>()?;
        check_offsets(&indptr, n_values as u64).map_err(|error| match error {
            CsrError::Indptr { at, problem } => pointers.malformed(format!("at position {at} {problem}")),
            other => pointers.malformed(other.to_string()),
        })?;
        Ok(Self { indptr: Arc::new(indptr), indices, values, minor })
    }

    /// Number of stored values.
    pub(super) fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Row or column to which the stored value `at` belongs.
    pub(super) fn major_of(&self, at: usize) -> usize {
        self.indptr.partition_point(|&end| end <= at as u64) - 1
    }

    /// Minor indices of the stored values `from..to`.
    pub(super) fn indices_in(&self, from: usize, to: usize) -> Result<Vec<u32>, DataError> {
        let indices = self.indices.i64s_in(from..to)?;
        if let Some(at) = indices.iter().position(|&index| index < 0 || index as u64 >= self.minor as u64) {
            let problem = format!(
                "element {} is {}, outside the {} that the shape allows",
                from + at,
                indices[at],
                self.minor
            );
            return Err(self.indices.malformed(problem));
        }
        Ok(indices.into_iter().map(|index| index as u32).collect())
    }
}
