//! Quality control: metrics of cells and genes, thresholds on them, and the kind that applies both to a file.

mod kind;
mod metrics;
mod thresholds;

pub use kind::Qc;
pub use metrics::{CellMetrics, GeneMetrics, GeneSet, TOP_GENES};
pub use thresholds::{CellFilter, Criterion, GeneFilter};
