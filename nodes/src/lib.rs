//! The node kinds of celldag, one file or folder each, and [`register`], which makes them known to an engine.
//!
//! Kinds read and write plain files of the field; everything numerical they do lives in `celldag-models`,
//! `celldag-data` and `celldag-shaders`.

pub mod artifacts;
mod columns;
mod device;
pub mod embed;
pub mod evaluate;
mod failure;
pub mod learn;
mod numbering;
pub mod predict;
pub mod prep;
pub mod prompt;

use celldag_engine::Registry;

/// Adds every kind of this crate to `registry`.
pub fn register(registry: &mut Registry) {
    registry.add(prep::qc::Qc);
    registry.add(prep::concat::Concat);
    registry.add(prep::normalize::Normalize);
    registry.add(prep::hvg::Hvg);
    registry.add(prep::pca::PcaKind);
    registry.add(embed::Tokenize);
    registry.add(embed::Embed);
    registry.add(embed::EmbedDrug);
    registry.add(embed::EmbedGenes);
    registry.add(learn::split::Split);
    registry.add(learn::mlp::MlpHead);
    registry.add(learn::linear::LinearHead);
    registry.add(learn::lora::LoraTrain);
    registry.add(learn::pretrain::Pretrain);
    registry.add(predict::Predict);
    registry.add(prompt::PromptClassify);
    registry.add(evaluate::Evaluate);
    registry.add(evaluate::embedding::EvaluateEmbedding);
    registry.add(evaluate::regression::EvaluateRegression);
    registry.add(evaluate::perturbation::EvaluatePerturbation);
}
