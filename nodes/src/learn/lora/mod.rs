//! The kind `lora-train`: low-rank adapters of a model and a head on its vectors, trained together per fold.
//!
//! As in [`super::mlp`], training sees [`TrainingCells`], which can only be made of training and validation cells; test
//! cells reach a trained model as [`TestCells`], which have no labels.

mod data;
mod fold;
mod kind;
mod learner;
mod model;
mod run;
mod tokens;

pub use data::{CellIndex, LabelledCells, TestCells, TrainingCells};
pub use kind::LoraTrain;
pub(super) use run::host_memory;
