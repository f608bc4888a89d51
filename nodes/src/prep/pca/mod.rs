//! Scaling of genes and exact principal components, and the kind that applies both to a file.

mod gram;
mod kind;
mod scale;
mod solve;

pub use kind::Pca as PcaKind;
pub use scale::{Blocks, ScaledRows, Scaling};
pub use solve::{MAX_DIMENSION, Pca, PcaError, pca};
