//! Precision, recall and F1: of a class, and averaged over classes.

/// What a ratio with denominator zero is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroDivision {
    /// Undefined: what celldag reports.
    Undefined,
    /// 0, the default of scikit-learn.
    Zero,
    /// 1, what the scDrugMap code asks for.
    One,
}

impl ZeroDivision {
    fn divide(self, part: f64, whole: f64) -> Option<f64> {
        if whole > 0.0 {
            return Some(part / whole);
        }
        match self {
            Self::Undefined => None,
            Self::Zero => Some(0.0),
            Self::One => Some(1.0),
        }
    }
}

/// How to average over classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Plain mean over classes.
    Macro,
    /// Mean weighted by support.
    Weighted,
    /// From counts summed over classes.
    Micro,
}

/// The three together, since they share counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecallF1 {
    /// True positives among predicted positives.
    pub precision: Option<f64>,
    /// True positives among positives.
    pub recall: Option<f64>,
    /// 2 TP / (positives + predicted positives).
    pub f1: Option<f64>,
}

/// Scores of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Precision, recall, F1.
    pub scores: PrecisionRecallF1,
    /// Weight of cells of the class.
    pub support: f64,
}

impl PrecisionRecallF1 {
    /// From true positives, predicted positives and positives.
    #[must_use]
    pub fn from_counts(hits: f64, predicted: f64, support: f64, zero: ZeroDivision) -> Self {
        Self {
            precision: zero.divide(hits, predicted),
            recall: zero.divide(hits, support),
            f1: zero.divide(2.0 * hits, predicted + support),
        }
    }

    /// Weighted mean; undefined as soon as one member with weight is.
    pub(super) fn mean(members: &[(Self, f64)]) -> Self {
        let total: f64 = members.iter().map(|(_, w)| w).sum();
        let mean = |get: fn(&Self) -> Option<f64>| {
            let mut sum = 0.0;
            for (member, weight) in members {
                if *weight > 0.0 {
                    sum += get(member)? * weight;
                }
            }
            (total > 0.0).then(|| sum / total)
        };
        Self { precision: mean(|m| m.precision), recall: mean(|m| m.recall), f1: mean(|m| m.f1) }
    }
}
