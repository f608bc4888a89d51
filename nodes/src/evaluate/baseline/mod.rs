//! What a model must beat: predictors without a foundation model, on the same folds.
//!
//! Majority and all-positive know the labels of the training cells only. Logistic regression on principal components
//! does what a careful analyst does in an afternoon, with every step fitted on the training cells of the fold.

mod components;
mod logistic;
mod pca_logistic;
mod responses;

pub use components::{Components, leading_components};
pub use logistic::LogisticRegression;
pub use pca_logistic::{BaselineError, PcaLogistic};
pub use responses::{FittedResponses, Response, ResponseModel};
