//! The classical classifiers that learn on principal components, with the settings of the published baseline figures.

use super::features::{BaselineError, Features};
use super::forest::forest;
use super::logistic::LogisticRegression;
use super::perceptron::perceptron;

/// Inverse strength of the penalty of the logistic regression.
const C: f64 = 1.0;

/// A classical classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classifier {
    /// L2 logistic regression with C = 1.
    Logistic,
    /// 200 fully grown trees on bootstrap samples, square root of the features at a split.
    Forest,
    /// Two hidden layers of 512 units, 20 epochs of Adam.
    Perceptron,
}

impl Classifier {
    /// Probability of each of `classes` classes for the cells `test`, learned on `train`, whose classes are `class`.
    /// `seed` starts every draw; the number of threads changes nothing.
    ///
    /// # Errors
    /// When the training cells hold one class only, or the training fails.
    pub fn predict(
        self,
        train: &Features,
        class: &[usize],
        classes: usize,
        test: &Features,
        seed: u64,
    ) -> Result<Vec<Vec<f64>>, BaselineError> {
        if class.iter().all(|&c| Some(c) == class.first().copied()) {
            return Err(BaselineError::OneClass);
        }
        match self {
            Self::Logistic => {
                let model = LogisticRegression::fit(&train.values, train.dim, class, classes, C);
                Ok(test.rows().map(|row| model.probabilities(row)).collect())
            }
            Self::Forest => Ok(forest(train, class, classes, test, seed)),
            Self::Perceptron => perceptron(train, class, classes, test, seed),
        }
    }
}
