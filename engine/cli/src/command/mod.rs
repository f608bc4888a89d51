//! One file a command.

pub(crate) mod cache;
mod cache_records;
pub(crate) mod check;
pub(crate) mod devices;
pub(crate) mod embed;
pub(crate) mod embed_drug;
pub(crate) mod export;
pub(crate) mod graph;
pub(crate) mod models;
pub(crate) mod nodes;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod provenance;
mod provenance_export;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod runs;
mod runs_diff;
mod runs_import;
mod runs_table;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod shared;
pub(crate) mod step;
mod store;
pub(crate) mod why;
