//! Raw counts: which matrix of a file holds them, and proof that a value is one.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{MatrixRef, Store};
use crate::DataError;
use crate::h5::Numbers;

/// Which matrix the counts are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountsSource {
    /// The first of `layers/counts`, `X`, `raw/X` that holds raw counts.
    #[default]
    Auto,
    /// This one.
    Named(String),
}

impl FromStr for CountsSource {
    type Err = std::convert::Infallible;

    /// `auto`, or the name of a matrix.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "auto" { Self::Auto } else { Self::Named(text.to_owned()) })
    }
}

/// Where [`CountsSource::Auto`] looks, in this order: a layer of that name is a promise, X is the place of the field's
/// convention, `raw` is by Scanpy's custom either counts or log-normalised values of all genes.
pub(super) const PLACES: [&str; 3] = ["layers/counts", "X", "raw/X"];

/// What every value of a matrix must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// A whole number ≥ 0 that f32 holds exactly.
    Counts,
    /// Neither NaN nor infinite.
    Finite,
}

/// A value that must not be there.
#[derive(Debug)]
pub(super) struct Offence {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) value: f64,
    /// Why it is no count; `None` where it only had to be finite.
    pub(super) reason: Option<&'static str>,
}

impl Check {
    /// Position, value and reason of the first value that fails.
    pub(super) fn first(self, numbers: &Numbers) -> Option<(usize, f64, Option<&'static str>)> {
        let fails = |at: usize, value: f64| {
            let reason = self.reason(value)?;
            Some((at, value, (self == Self::Counts).then_some(reason)))
        };
        match numbers {
            // The quick test has no branch, so that the usual case runs at the speed of memory.
            Numbers::F32(values) if self == Self::Finite && values.iter().all(|v| v.is_finite()) => None,
            Numbers::F32(values) => values.iter().enumerate().find_map(|(at, &v)| fails(at, f64::from(v))),
            Numbers::F64(values) => values.iter().enumerate().find_map(|(at, &v)| fails(at, v)),
        }
    }

    fn reason(self, value: f64) -> Option<&'static str> {
        if value.is_nan() {
            return Some("not a number");
        }
        if !(value as f32).is_finite() {
            return Some("infinite");
        }
        if self == Self::Finite {
            return None;
        }
        if value < 0.0 {
            Some("negative: the values are scaled or centred")
        } else if value.fract() != 0.0 {
            Some("not a whole number: the values are normalised or logarithmised")
        } else if f64::from(value as f32) != value {
            Some("above 16,777,216 and not exact in single precision")
        } else {
            None
        }
    }
}

/// f32 as the models want them.
pub(super) fn to_f32(numbers: Numbers) -> Vec<f32> {
    match numbers {
        Numbers::F32(values) => values,
        Numbers::F64(values) => values.into_iter().map(|value| value as f32).collect(),
    }
}

/// Values looked at on either end of a matrix to find out whether it holds counts.
const PROBE: usize = 1 << 19;

impl MatrixRef {
    /// Looks at the first and last half million values for one that is no count. Both ends, since concatenated files
    /// may begin with counts. Reading checks every value again.
    pub(super) fn probe_counts(&self) -> Result<Option<Offence>, DataError> {
        match &self.store {
            Store::Rows(sparse) | Store::Columns(sparse) => {
                let nnz = sparse.nnz();
                for (from, to) in ends(nnz, PROBE) {
                    let numbers = sparse.values.numbers_in(from..to)?;
                    if let Some((at, value, reason)) = Check::Counts.first(&numbers) {
                        let at = from + at;
                        let major = sparse.major_of(at);
                        let minor = sparse.indices_in(at, at + 1)?[0] as usize;
                        let by_cell = matches!(self.store, Store::Rows(_));
                        let (row, column) = if by_cell { (major, minor) } else { (minor, major) };
                        return Ok(Some(Offence { row, column, value, reason }));
                    }
                }
                Ok(None)
            }
            Store::Dense(dataset) => {
                let width = dataset.shape().get(1).copied().unwrap_or(0).max(1);
                for (from, to) in ends(self.n_cells, (PROBE / width).max(1)) {
                    let numbers = dataset.rows_in(from..to)?;
                    if let Some((at, value, reason)) = Check::Counts.first(&numbers) {
                        return Ok(Some(Offence {
                            row: from + at / width,
                            column: at % width,
                            value,
                            reason,
                        }));
                    }
                }
                Ok(None)
            }
            Store::Memory(csr) => Ok(csr.iter().enumerate().find_map(|(row, (columns, values))| {
                let (at, value, reason) = Check::Counts.first(&Numbers::F32(values.to_vec()))?;
                Some(Offence { row, column: columns[at] as usize, value, reason })
            })),
        }
    }
}

/// The first and the last `most` of `length` positions.
fn ends(length: usize, most: usize) -> Vec<(usize, usize)> {
    if length <= 2 * most { vec![(0, length)] } else { vec![(0, most), (length - most, length)] }
}
