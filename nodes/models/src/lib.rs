//! Single-cell foundation models over the tensor operations of celldag.
//!
//! A model is a folder here and a line in [`cell_models`]: which files of a published checkpoint it reads
//! ([`CellModel::files`]), how counts become tokens ([`CellTokenizer`]), and how tokens become one vector a cell
//! ([`CellEncoder`]). It is written once over `celldag-shaders`, which runs it on a GPU or natively. Tensors are taken
//! from checkpoints by their published names ([`Params`]), so a message about a tensor names what is in the file.

mod adapter;
mod batch;
pub mod blocks;
mod error;
pub mod geneformer;
mod loaded;
mod params;
mod registry;

pub use adapter::{Adapters, Lora, Slot};
pub use batch::{EmbedOptions, embed_cells};
pub use error::ModelError;
pub use loaded::Loaded;
pub use params::Params;
pub use registry::{
    CellEncoder, CellModel, CellTokenizer, Coverage, EncoderInfo, Pooling, Purpose, Readout, TokenizerInfo,
    UnusableCount, cell_model, cell_models,
};
