//! How good an embedding is before anything is trained on it: whether labels stay apart and batches mix.
//!
//! Measures are those of scIB (Luecken et al. 2022) and of scGPT's benchmarks (AvgBIO); every distance is exact, in f64.

mod batches;
mod groups;
mod kind;
mod kmeans;
mod lisi;
mod neighbours;
mod points;
mod quality;
mod run;
mod silhouette;

pub use batches::{asw_batch, isolated_labels, variance_by_batch};
pub use groups::Grouping;
pub use kind::EvaluateEmbedding;
pub use kmeans::kmeans;
pub use lisi::{clisi, ilisi, lisi, median};
pub use neighbours::Neighbours;
pub use points::{Distance, Points};
pub use quality::{Annotation, Measure, Settings, quality};
pub use silhouette::{Others, calinski_harabasz, davies_bouldin, silhouette};
