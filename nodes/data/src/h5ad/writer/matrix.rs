//! A sparse matrix that grows row by row.

use hdf5::{Dataset, Group, H5Type};
use ndarray::ArrayView1;

use super::target::{fill, flush};
use super::{Dtype, WriteOptions, parts};
use crate::Csr;

/// `indices` and `data` grow on disk; `indptr` is kept and written at the end.
#[derive(Debug)]
pub(super) struct MatrixWriter {
    name: String,
    group: Group,
    indices: Dataset,
    data: Dataset,
    indptr: Vec<i64>,
    n_genes: usize,
    dtype: Dtype,
    options: WriteOptions,
}

impl MatrixWriter {
    pub(super) fn create(
        root: &Group,
        name: &str,
        n_genes: usize,
        dtype: Dtype,
        options: &WriteOptions,
    ) -> hdf5::Result<Self> {
        let group = root.create_group(name)?;
        parts::encoding(&group, "csr_matrix", "0.1.0")?;
        let data = match dtype {
            Dtype::F32 => parts::create::<f32>(&group, "data", &[0], true, options),
            Dtype::F64 => parts::create::<f64>(&group, "data", &[0], true, options),
            Dtype::I32 => parts::create::<i32>(&group, "data", &[0], true, options),
        }?;
        let indices = parts::create::<i32>(&group, "indices", &[0], true, options)?;
        let (name, indptr, options) = (name.to_owned(), vec![0], *options);
        Ok(Self { name, group, indices, data, indptr, n_genes, dtype, options })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    pub(super) fn append(&mut self, rows: &Csr) -> hdf5::Result<()> {
        let base = self.indptr[self.rows()];
        let indices: Vec<i32> = rows.indices().iter().map(|&column| column as i32).collect();
        match self.dtype {
            Dtype::F32 => extend(&self.data, base, rows.values())?,
            Dtype::F64 => {
                let values: Vec<f64> = rows.values().iter().map(|&value| f64::from(value)).collect();
                extend(&self.data, base, &values)?;
            }
            Dtype::I32 => {
                if let Some(value) = rows.values().iter().find(|&&v| f64::from(v as i32) != f64::from(v)) {
                    return Err(hdf5::Error::from(format!("{value} is no 32-bit integer")));
                }
                let values: Vec<i32> = rows.values().iter().map(|&value| value as i32).collect();
                extend(&self.data, base, &values)?;
            }
        }
        extend(&self.indices, base, &indices)?;
        self.indptr.extend(rows.indptr()[1..].iter().map(|&end| base + end as i64));
        Ok(())
    }

    /// Writes what is missing; closing the datasets writes nothing any more.
    pub(super) fn finish(&self) -> hdf5::Result<()> {
        let shape = [self.rows() as i64, self.n_genes as i64];
        self.group.new_attr::<i64>().shape(2).create("shape")?.write_raw(&shape)?;
        // SciPy keeps both index arrays in 32 bits as long as they fit.
        match self.indptr.iter().map(|&end| i32::try_from(end)).collect::<Result<Vec<i32>, _>>() {
            Ok(narrow) => store(&self.group, &narrow, &self.options),
            Err(_) => store(&self.group, &self.indptr, &self.options),
        }?;
        flush(&self.data)?;
        flush(&self.indices)
    }

    /// Leaves the datasets open for good.
    pub(super) fn keep_open(&self) {
        std::mem::forget((self.data.clone(), self.indices.clone(), self.group.clone()));
    }
}

fn store<T: H5Type>(group: &Group, indptr: &[T], options: &WriteOptions) -> hdf5::Result<()> {
    let dataset = parts::create::<T>(group, "indptr", &[indptr.len()], false, options)?;
    fill(dataset, |dataset| dataset.write(ArrayView1::from(indptr)))
}

/// Writes `values` behind the first `length` elements.
fn extend<T: H5Type>(dataset: &Dataset, length: i64, values: &[T]) -> hdf5::Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let (from, to) = (length as usize, length as usize + values.len());
    dataset.resize(to)?;
    dataset.write_slice(ArrayView1::from(values), from..to)
}
