//! Predicted expression after a perturbation beside predictors that see no model: the kind `evaluate-perturbation`.

mod compare;
mod effects;
mod kind;
mod measure;
mod profiles;
mod run;

pub use kind::EvaluatePerturbation;
