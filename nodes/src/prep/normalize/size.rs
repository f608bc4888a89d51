//! What each cell's counts are divided by: `normalize_total` of Scanpy, and the logarithm after it.

use crate::prep::Rows;

/// How cells are brought to one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Counts per cell afterwards; `None` takes the median over the non-empty cells.
    pub target_sum: Option<f64>,
    /// Leave genes out of the size that make up more than `max_fraction` of any cell. They are still scaled.
    pub exclude_highly_expressed: bool,
    /// Share of a cell's counts above which a gene counts as highly expressed, 0 to 1.
    pub max_fraction: f64,
}

impl Default for Normalization {
    fn default() -> Self {
        Self { target_sum: Some(1e4), exclude_highly_expressed: false, max_fraction: 0.05 }
    }
}

/// Result of [`size_factors`].
#[derive(Clone, Debug, PartialEq)]
pub struct SizeFactors {
    /// Per cell: normalised value = count / factor.
    pub factors: Vec<f64>,
    /// Counts that the sizes were brought to.
    pub target: f64,
    /// Per gene: left out of the sizes.
    pub excluded: Vec<bool>,
}

/// Size factors of all cells of a count matrix.
///
/// An empty cell has factor 1. A cell whose counts lie in excluded genes only falls back to its full size.
///
/// # Errors
/// When the rows cannot be read.
pub fn size_factors<R: Rows>(counts: &R, how: &Normalization) -> Result<SizeFactors, R::Error> {
    let mut excluded = vec![false; counts.n_cols()];
    let mut totals = Vec::with_capacity(counts.n_rows());
    counts.each_row(&mut |_, columns, values| {
        let total: f64 = values.iter().sum();
        totals.push(total);
        if how.exclude_highly_expressed {
            let limit = total * how.max_fraction;
            for (&column, &value) in columns.iter().zip(values) {
                excluded[column as usize] |= value > limit;
            }
        }
    })?;
    let mut sizes = totals;
    if excluded.contains(&true) {
        counts.each_row(&mut |row, columns, values| {
            let kept = columns.iter().zip(values).filter(|&(&column, _)| !excluded[column as usize]);
            let size: f64 = kept.map(|(_, &value)| value).sum();
            if size > 0.0 {
                sizes[row] = size;
            }
        })?;
    }
    let target = how.target_sum.unwrap_or_else(|| {
        let mut seen: Vec<f64> = sizes.iter().copied().filter(|&size| size > 0.0).collect();
        median(&mut seen).unwrap_or(1.0)
    });
    let factors = sizes.iter().map(|&size| if size > 0.0 { size / target } else { 1.0 }).collect();
    Ok(SizeFactors { factors, target, excluded })
}

/// ln(1 + value), or the logarithm to another base.
#[must_use]
pub fn log1p(value: f64, base: Option<f64>) -> f64 {
    base.map_or_else(|| value.ln_1p(), |base| value.ln_1p() / base.ln())
}

/// Median with the mean of the middle two for an even number; `None` of nothing. Reorders `values`.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}
