//! Honest numbers: metrics, baselines, and the `evaluate` kind that puts them side by side.

pub mod baseline;
mod bootstrap;
mod by_group;
mod compare;
mod coverage;
pub mod embedding;
mod fair;
mod figures;
mod files;
mod inputs;
mod kind;
mod measure;
pub mod metrics;
mod models;
mod page;
pub mod perturbation;
mod provenance;
mod reference;
pub mod regression;
mod run;
mod scopes;
mod shared;
mod study;
mod summary;
mod threads;
mod uncertainty;
mod verdict;
mod warnings;

pub use kind::Evaluate;
pub use measure::{Measured, Metrics, measure};
pub use models::{ScoredCell, ScoredModel};
