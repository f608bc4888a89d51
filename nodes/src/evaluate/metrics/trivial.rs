//! What one gets without looking at a cell.

/// Scores of the predictors that only know the prevalence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrivialBaselines {
    prevalence: f64,
}

impl TrivialBaselines {
    /// For a test set with this share of positives.
    #[must_use]
    pub fn new(prevalence: f64) -> Self {
        Self { prevalence }
    }

    /// F1 of calling every cell positive: 2p / (1 + p).
    #[must_use]
    pub fn all_positive_f1(&self) -> f64 {
        2.0 * self.prevalence / (1.0 + self.prevalence)
    }

    /// Accuracy, and also precision, of calling every cell positive.
    #[must_use]
    pub fn all_positive_accuracy(&self) -> f64 {
        self.prevalence
    }

    /// Recall of calling every cell positive; 0 when there is none.
    #[must_use]
    pub fn all_positive_recall(&self) -> f64 {
        if self.prevalence > 0.0 { 1.0 } else { 0.0 }
    }

    /// Accuracy of calling every cell negative. Its F1 is 0.
    #[must_use]
    pub fn all_negative_accuracy(&self) -> f64 {
        1.0 - self.prevalence
    }

    /// Expected F1 of drawing positives at random with the prevalence.
    #[must_use]
    pub fn random_f1(&self) -> f64 {
        self.prevalence
    }

    /// Expected accuracy of drawing positives at random with the prevalence.
    #[must_use]
    pub fn random_accuracy(&self) -> f64 {
        self.prevalence.powi(2) + (1.0 - self.prevalence).powi(2)
    }
}
