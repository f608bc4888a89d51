//! A checked pipeline as a workflow for Snakemake or Nextflow, and each node kind as a module for either.
//!
//! ```text
//! Pipeline ─workflow─▶ Workflow (rules for nodes, their axes and edges) ─┬─ snakemake ─▶ Snakefile, config
//!                                                                        └─ nextflow  ─▶ main.nf, nextflow.config
//! Registry ─modules──▶ a rule or process a kind
//! ```
//!
//! What is written calls `celldag step` and nothing else: the same actions under the same keys as `celldag run`, so that
//! both share one store.

pub mod error;
pub mod folder;
pub mod modules;
pub mod nextflow;
pub mod snakemake;
#[cfg(test)]
mod testing;
pub mod workflow;

pub use error::ExportError;
pub use workflow::Workflow;
