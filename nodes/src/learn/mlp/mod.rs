//! The kind `mlp-head`: a multilayer perceptron on frozen embeddings, trained per fold (layer freezing).
//!
//! Training sees [`TrainingData`], which can only be made of training and validation rows; test cells reach a trained
//! head as [`FeatureRows`] without labels. No function here takes both a test label and a network.

mod data;
mod head_file;
mod kind;
mod run;
mod size;
mod standardize;
#[cfg(test)]
mod tests;
mod train;

pub use celldag_models::training::{
    EpochRecord, Gradients, LossKind, Network, Objective, Optimizer, Trained, shuffled_epochs,
};
pub use data::{Embedding, FeatureRows, LabelledRows, TrainingData};
pub use head_file::{FoldHead, HeadArchitecture, HeadInfo, read_heads, write_heads};
pub use kind::MlpHead;
pub(super) use size::{available_memory, check as check_size};
pub use standardize::Standardizer;
pub use train::{TrainError, TrainSettings, train};
