//! The kind `mlp-head`: a multilayer perceptron on frozen embeddings, trained per fold (layer freezing).
//!
//! Training sees [`TrainingData`], which can only be made of training and validation rows; test cells reach a trained
//! head as [`FeatureRows`] without labels. No function here takes both a test label and a network.

mod data;
mod head_file;
mod kind;
mod network;
mod objective;
mod run;
mod size;
mod standardize;
#[cfg(test)]
mod tests;
mod train;

pub use data::{Embedding, FeatureRows, LabelledRows, TrainingData};
pub use head_file::{FoldHead, HeadArchitecture, HeadInfo, write_heads};
pub use kind::MlpHead;
pub use network::{Gradients, Network};
pub use objective::{LossKind, Objective};
pub use standardize::Standardizer;
pub use train::{EpochRecord, Optimizer, TrainError, TrainSettings, Trained, shuffled_epochs, train};
