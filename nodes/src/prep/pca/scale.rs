//! Bringing genes to mean 0 and standard deviation 1, and matrices that are handed out in dense blocks.

use std::ops::Range;

use celldag_data::Csr;

use crate::prep::{Dense, GeneMoments, Rows};

/// A matrix (cells × features) of which any run of rows can be had densely.
pub trait Blocks: Sync {
    /// Number of rows.
    fn n_rows(&self) -> usize;
    /// Number of columns.
    fn n_cols(&self) -> usize;
    /// Writes `rows`, row after row, into `out`, whose length is `rows.len() * n_cols`.
    fn fill(&self, rows: Range<usize>, out: &mut [f64]);
}

impl Blocks for Dense {
    fn n_rows(&self) -> usize {
        Self::n_rows(self)
    }

    fn n_cols(&self) -> usize {
        Self::n_cols(self)
    }

    fn fill(&self, rows: Range<usize>, out: &mut [f64]) {
        out.copy_from_slice(&self.data()[rows.start * self.n_cols()..rows.end * self.n_cols()]);
    }
}

/// Mean and sd of every gene on the cells it was fitted on, to be applied to these or other cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Subtracted; all 0 when values are not centred.
    pub means: Vec<f64>,
    /// Divided by: sd with n - 1, or 1 for a gene that does not vary.
    pub sds: Vec<f64>,
    /// Larger values are set to this; smaller ones are left, in contrast to Scanpy, which also clips at the negative.
    pub max_value: Option<f64>,
}

impl Scaling {
    /// Fits means and sds. `center` subtracts the mean.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn fit<R: Rows>(rows: &R, center: bool, max_value: Option<f64>) -> Result<Self, R::Error> {
        Ok(Self::from_moments(&GeneMoments::of(rows)?, center, max_value))
    }

    /// From moments that were collected before.
    #[must_use]
    pub fn from_moments(moments: &GeneMoments, center: bool, max_value: Option<f64>) -> Self {
        let genes = 0..moments.n_cols();
        let sd = |gene: usize| {
            let sd = moments.variance(gene).sqrt();
            if sd > 0.0 { sd } else { 1.0 }
        };
        Self {
            means: genes.clone().map(|gene| if center { moments.mean(gene) } else { 0.0 }).collect(),
            sds: genes.map(sd).collect(),
            max_value,
        }
    }

    /// Neither centres nor scales nor clips `n_genes` genes.
    #[must_use]
    pub fn identity(n_genes: usize) -> Self {
        Self { means: vec![0.0; n_genes], sds: vec![1.0; n_genes], max_value: None }
    }

    /// Scales one row with its zeros in place.
    pub fn apply(&self, row: &mut [f64]) {
        for ((value, mean), sd) in row.iter_mut().zip(&self.means).zip(&self.sds) {
            let scaled = (*value - mean) / sd;
            *value = self.max_value.map_or(scaled, |max| scaled.min(max));
        }
    }

    /// The scaled values of a sparse matrix.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn dense<R: Rows>(&self, rows: &R) -> Result<Dense, R::Error> {
        let mut dense = Dense::from_rows(rows)?;
        for row in 0..dense.n_rows() {
            self.apply(dense.row_mut(row));
        }
        Ok(dense)
    }
}

/// A sparse matrix in memory that is scaled block by block, so that its dense form never exists as a whole.
#[derive(Clone, Copy, Debug)]
pub struct ScaledRows<'a> {
    /// Values before scaling.
    pub matrix: &'a Csr,
    /// Fitted on the same columns.
    pub scaling: &'a Scaling,
}

impl Blocks for ScaledRows<'_> {
    fn n_rows(&self) -> usize {
        self.matrix.rows()
    }

    fn n_cols(&self) -> usize {
        self.matrix.n_cols()
    }

    fn fill(&self, rows: Range<usize>, out: &mut [f64]) {
        out.fill(0.0);
        for (row, target) in rows.zip(out.chunks_exact_mut(self.n_cols().max(1))) {
            let (columns, values) = self.matrix.row(row);
            for (&column, &value) in columns.iter().zip(values) {
                target[column as usize] = f64::from(value);
            }
            self.scaling.apply(target);
        }
    }
}
