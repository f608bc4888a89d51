//! Why a metric refuses its input.

/// Input that no metric can be computed from. Undefined results are `None` instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// Truth, scores, weights or predictions differ in length.
    #[error("{what} has {found} entries, but there are {expected} labels")]
    Length {
        /// Which array.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Number of labels.
        expected: usize,
    },
    /// Nothing to measure.
    #[error("there are no cells to measure")]
    Empty,
    /// A score is NaN or infinite.
    #[error("the score of entry {index} is {value}; scores must be finite numbers")]
    Score {
        /// Position, from 0.
        index: usize,
        /// What was there.
        value: f64,
    },
    /// A label outside the declared classes.
    #[error("the label of entry {index} is {value}, which is not one of the {classes} classes (0 to {})", classes - 1)]
    Label {
        /// Position, from 0.
        index: usize,
        /// What was there.
        value: f64,
        /// Number of declared classes.
        classes: usize,
    },
    /// A weight that is negative, NaN or infinite.
    #[error("the weight of entry {index} is {value}; weights must be finite and not negative")]
    Weight {
        /// Position, from 0.
        index: usize,
        /// What was there.
        value: f64,
    },
    /// Groups that no comparison of groups can be made of.
    #[error(
        "comparing groups needs at least two groups and fewer groups than cells; there are {found} groups among {cells} cells"
    )]
    Groups {
        /// Number of groups.
        found: usize,
        /// Number of cells.
        cells: usize,
    },
    /// All weights are zero.
    #[error("all weights are zero")]
    NoWeight,
}
