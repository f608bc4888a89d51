//! Size normalisation and log1p, and the kind that applies both to a file.

mod kind;
mod size;

pub use kind::Normalize;
pub(crate) use size::median;
pub use size::{Normalization, SizeFactors, log1p, size_factors};
