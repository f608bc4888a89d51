//! Learning from labels: who may see which cell (`split`), and heads on embeddings (`mlp-head`).

pub(crate) mod failure;
pub mod mlp;
pub mod predictions;
pub mod split;
