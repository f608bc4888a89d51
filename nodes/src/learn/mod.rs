//! Learning from labels: who may see which cell (`split`), and heads on embeddings (`mlp-head`, `linear-head`).

pub(crate) mod failure;
pub(crate) mod fold;
pub mod linear;
pub mod lora;
pub mod mlp;
mod params;
mod ports;
pub mod predictions;
pub mod pretrain;
mod resumed;
pub mod split;
