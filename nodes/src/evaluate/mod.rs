//! Honest numbers: metrics, baselines, and the `evaluate` kind that puts them side by side.

pub mod baseline;
mod fair;
mod figures;
mod kind;
mod measure;
pub mod metrics;
mod models;
mod page;
mod provenance;
mod reference;
mod run;
mod table;
mod warnings;

pub use kind::Evaluate;
pub use measure::{Measured, Metrics, measure};
pub use models::{ScoredCell, ScoredModel};
