//! What a model must beat: predictors without a foundation model, on the same folds.
//!
//! Majority, all-positive, all-negative and random know the labels of the training cells only. The classical classifiers on
//! principal components do what a careful analyst does in an afternoon, with every step fitted on the training cells of the
//! fold.

mod classifier;
mod components;
mod features;
mod forest;
mod linear;
mod logistic;
mod perceptron;
mod responses;

pub use classifier::Classifier;
pub use components::{Components, leading_components};
pub use features::{BaselineError, Features, LogCells};
pub use linear::{LinearModel, Penalty};
pub use logistic::LogisticRegression;
pub use responses::{FittedResponses, Response, ResponseModel};
