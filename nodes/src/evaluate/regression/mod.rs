//! Predicted numbers (drug response as ln IC50) beside predictors that see no cell: the kind `evaluate-regression`.

mod compare;
mod kind;
mod linear;
mod measure;
mod report;
mod run;
mod table;

pub use kind::EvaluateRegression;
pub use measure::{Predicted, measure, within};
