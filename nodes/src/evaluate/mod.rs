//! Honest numbers: metrics, baselines, and the `evaluate` kind that puts them side by side.

pub mod baseline;
mod bootstrap;
mod by_group;
mod compare;
pub mod embedding;
mod fair;
mod figures;
mod kind;
mod measure;
pub mod metrics;
mod models;
mod page;
mod provenance;
mod reference;
pub mod regression;
mod run;
mod table;
mod threads;
mod uncertainty;
mod warnings;

pub use kind::Evaluate;
pub use measure::{Measured, Metrics, measure};
pub use models::{ScoredCell, ScoredModel};
