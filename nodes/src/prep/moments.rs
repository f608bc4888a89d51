//! Mean and variance of every gene in one walk over the cells.

use crate::prep::Rows;

/// Mean and variance of each gene over the rows added so far.
///
/// Welford's recurrence runs over the non-zero values only, the zeros join in closed form (Chan et al. 1983): a gene
/// with one value in all cells has variance 0 exactly, which a difference of sums of squares does not give. The mean is a
/// sum divided by n, exact for counts: genes with the same number of counts must have equal means (LOESS needs the ties).
#[derive(Clone, Debug)]
pub struct GeneMoments {
    n_rows: usize,
    nonzero: Vec<u32>,
    sum: Vec<f64>,
    /// Mean and sum of squared deviations of the non-zero values.
    mean: Vec<f64>,
    m2: Vec<f64>,
}

impl GeneMoments {
    /// No rows yet, `n_cols` genes.
    #[must_use]
    pub fn new(n_cols: usize) -> Self {
        let zeros = vec![0.0; n_cols];
        Self { n_rows: 0, nonzero: vec![0; n_cols], sum: zeros.clone(), mean: zeros.clone(), m2: zeros }
    }

    /// Over all rows of a matrix.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn of<R: Rows>(rows: &R) -> Result<Self, R::Error> {
        let mut moments = Self::new(rows.n_cols());
        rows.each_row(&mut |_, columns, values| moments.add(columns, values))?;
        Ok(moments)
    }

    /// Adds one row: column indices and non-zero values.
    pub fn add(&mut self, columns: &[u32], values: &[f64]) {
        self.n_rows += 1;
        for (&column, &value) in columns.iter().zip(values) {
            let gene = column as usize;
            self.nonzero[gene] += 1;
            self.sum[gene] += value;
            let delta = value - self.mean[gene];
            self.mean[gene] += delta / f64::from(self.nonzero[gene]);
            self.m2[gene] += delta * (value - self.mean[gene]);
        }
    }

    /// Number of rows added.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of genes.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.mean.len()
    }

    /// In how many rows the gene is not zero.
    #[must_use]
    pub fn nonzero(&self, gene: usize) -> u32 {
        self.nonzero[gene]
    }

    /// Mean over all rows, zeros included.
    #[must_use]
    pub fn mean(&self, gene: usize) -> f64 {
        self.sum[gene] / self.n_rows.max(1) as f64
    }

    /// Variance with n - 1 in the denominator; NaN for fewer than two rows.
    #[must_use]
    pub fn variance(&self, gene: usize) -> f64 {
        if self.n_rows < 2 {
            return f64::NAN;
        }
        let (n, nonzero) = (self.n_rows as f64, f64::from(self.nonzero[gene]));
        let between = self.mean[gene] * self.mean[gene] * nonzero * (n - nonzero) / n;
        (self.m2[gene] + between) / (n - 1.0)
    }
}
