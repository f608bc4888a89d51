//! Single-cell foundation models over the tensor operations of celldag.
//!
//! A model is a folder here and a line in [`cell_models`]: which files of a published checkpoint it reads
//! ([`CellModel::files`]), how counts become tokens ([`CellTokenizer`]), and how tokens become one vector a cell
//! ([`CellEncoder`]). It is written once over `celldag-shaders`, which runs it on a GPU or natively. Tensors are taken
//! from checkpoints by their published names ([`Params`]), so a message about a tensor names what is in the file.

mod adapter;
mod batch;
pub mod bert_text;
pub mod blocks;
pub mod celllm;
pub mod cellplm;
pub mod chemberta;
pub mod draw;
pub mod drug;
mod encoder;
mod error;
mod gene_aliases;
mod gene_encoder;
pub mod geneformer;
mod inspect;
pub mod llama;
mod loaded;
mod matching;
mod model;
pub mod molformer;
mod option;
mod params;
pub mod performer_lm;
pub mod pretraining;
mod published;
pub mod scbert;
pub mod scfoundation;
pub mod scgpt;
pub mod sentence;
mod sizes;
pub mod tgpt;
mod tokens;
pub mod training;
pub mod uce;
mod vectors;
mod vocabulary;

pub use adapter::{
    Adapters, InputDropout, LayerRows, Lora, Noise, Part, PeftAdapter, PeftLayer, Shaped, Slot, Tensors,
    TrainedWeight, assemble, chosen_layers, initial_lora, is_peft_folder, is_target,
};
pub use batch::{Cells, embed_cells, embed_rest};
pub use encoder::{Batch, CellEncoder, EncoderInfo, Neighbourhood};
pub use error::ModelError;
pub use gene_aliases::{GENE_ALIASES, GeneAliases};
pub use gene_encoder::{GeneEncoder, GeneVectors, MeanVectors, mean_over_cells, models_of_genes};
pub use inspect::{Found, Sighting, inspect};
pub use loaded::Loaded;
pub use matching::{Matched, Repeats, Symbols};
pub use model::{CellModel, LoadEncoder, Purpose, cell_model, cell_models};
pub use option::{ModelOption, OptionDefault, OptionType, Options, written_out};
pub use params::Params;
pub use tokens::{CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount, WhyEmpty};
pub use vectors::Vectors;
