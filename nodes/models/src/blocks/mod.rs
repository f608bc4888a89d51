//! Parts that several models are built of, with the tensor names of their PyTorch originals.

mod bert;
mod layer_norm;
mod linear;

pub use bert::{BertLayer, BertShape};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
