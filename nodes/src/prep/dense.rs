//! A dense f64 matrix, row-major: cells × features.

use crate::prep::Rows;

/// A dense matrix, rows × columns, stored row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    n_rows: usize,
    n_cols: usize,
    data: Vec<f64>,
}

impl Dense {
    /// A matrix of zeros.
    #[must_use]
    pub fn zeros(n_rows: usize, n_cols: usize) -> Self {
        Self { n_rows, n_cols, data: vec![0.0; n_rows * n_cols] }
    }

    /// A matrix from its values, row after row; `None` if their number is not `n_rows * n_cols`.
    #[must_use]
    pub fn from_vec(n_rows: usize, n_cols: usize, data: Vec<f64>) -> Option<Self> {
        (data.len() == n_rows * n_cols).then_some(Self { n_rows, n_cols, data })
    }

    /// Every value of a sparse matrix, zeros included.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn from_rows<R: Rows>(rows: &R) -> Result<Self, R::Error> {
        let mut dense = Self::zeros(rows.n_rows(), rows.n_cols());
        rows.each_row(&mut |row, columns, values| {
            let target = dense.row_mut(row);
            for (&column, &value) in columns.iter().zip(values) {
                target[column as usize] = value;
            }
        })?;
        Ok(dense)
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Row `i`.
    ///
    /// # Panics
    /// If `i` is out of range.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.n_cols..(i + 1) * self.n_cols]
    }

    /// Row `i`, to change.
    ///
    /// # Panics
    /// If `i` is out of range.
    pub fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.data[i * self.n_cols..(i + 1) * self.n_cols]
    }

    /// The value at (`row`, `column`).
    ///
    /// # Panics
    /// If either is out of range.
    #[must_use]
    pub fn get(&self, row: usize, column: usize) -> f64 {
        self.row(row)[column]
    }

    /// All values, row after row.
    #[must_use]
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// All values, row after row, to change.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// The values as f32, row after row.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&v| v as f32).collect()
    }
}
