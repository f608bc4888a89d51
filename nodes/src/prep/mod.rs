//! Preprocessing of counts: the kinds `qc`, `concat`, `normalize`, `hvg` and `pca`, and the pure functions behind them.
//!
//! The functions know no files: they walk a [`Rows`] (a matrix in memory, a subset of its cells, or a file that is read
//! in chunks) and give f64 results, so that a classifier can fit every step on its training cells alone. The numbers
//! follow Scanpy 1.11 (Wolf et al. 2018, 10.1186/s13059-017-1382-0), against which the tests compare them.

pub(crate) mod cells;
pub mod concat;
mod dense;
pub mod hvg;
mod moments;
pub mod normalize;
pub mod pca;
pub mod qc;
mod rows;

pub use dense::Dense;
pub use moments::GeneMoments;
pub use rows::{GeneSubset, Mapped, Rows, SparseRows, Visit};
