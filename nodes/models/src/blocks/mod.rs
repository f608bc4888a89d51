//! Parts that several models are built of, with the tensor names of their PyTorch originals.

mod bert;
mod bert_config;
mod bert_encoder;
mod conv1d;
mod l2;
mod layer_norm;
mod linear;
mod performer_layer;
mod performer_rows;
mod positions;
mod readout;
mod rows_from_end;
mod transformer_layer;

pub use bert::{BertLayer, BertShape};
pub use bert_config::BertConfig;
pub(crate) use bert_encoder::{BERT, BERT_UNREAD};
pub use bert_encoder::{BertEncoder, BertSizes};
pub use conv1d::{conv1d, conv1d_qkv};
pub use l2::Normalize;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, PackedQkv};
pub(crate) use performer_layer::{DRAWN, extents};
pub use performer_layer::{PerformerLayer, PerformerShape};
pub use performer_rows::PerformerRows;
pub(crate) use positions::Positions;
pub use readout::depth;
pub use rows_from_end::rows_from_end;
pub use transformer_layer::{PackedNames, TransformerLayer, TransformerShape};
