//! Metrics of classes, numbers and groupings with the conventions of scikit-learn, and undefined values said as such.
//!
//! Everything is computed in `f64` from plain slices; nothing here knows pipelines or files. A metric that is not
//! defined for its input (AUROC with one class) is `None`, never 0 or 1. Where the field divides by zero and then
//! agrees on a number, the caller says which through [`ZeroDivision`].

mod agreement;
mod averages;
mod calibration;
mod chi_square;
mod confusion;
mod correlation;
mod curves;
mod error;
mod multiclass;
mod perturbation;
mod ranking;
mod regression;
mod sample;
mod scdrugmap;
mod statistics;
mod tdistribution;
mod tests_of_means;
mod trivial;

pub use agreement::{Contingency, NmiMean};
pub use averages::{Average, ClassScores, PrecisionRecallF1, ZeroDivision};
pub use calibration::{CalibrationBin, brier, calibration_bins, expected_calibration_error, log_loss};
pub use chi_square::chi_square_above;
pub use confusion::Confusion;
pub use correlation::{Correlation, kendall_tau_b, pearson, spearman};
pub use curves::{PrPoints, RocPoints, pr_points, roc_points};
pub use error::MetricError;
pub use multiclass::ProbabilityTable;
pub(crate) use multiclass::argmax;
pub use perturbation::{PerturbationScores, discrimination, perturbation_scores};
pub use ranking::{auprc_trapezoid, auroc, average_precision};
pub use regression::RegressionSample;
pub use sample::BinarySample;
pub use scdrugmap::{TwoLogit, TwoLogitReport};
pub use statistics::{BoxPlot, Spread, quantile};
pub use tdistribution::{t_quantile, t_two_sided};
pub use tests_of_means::{
    PairedTest, benjamini_hochberg, bonferroni, holm, nadeau_bengio, paired_t, welch_t, wilcoxon_signed_rank,
};
pub use trivial::TrivialBaselines;
