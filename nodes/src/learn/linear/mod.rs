//! The kind `linear-head`: logistic regression on frozen embeddings, fitted per fold (a linear probe).
//!
//! It sees what `mlp-head` sees, a [`TrainingData`](super::mlp::TrainingData) without test cells, and writes the same
//! artifacts: a head without hidden layers.

mod fit;
mod kind;
mod run;
#[cfg(test)]
mod tests;

pub use fit::{Probe, fit_probe};
pub use kind::LinearHead;
