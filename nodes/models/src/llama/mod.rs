//! Llama 3 (Grattafiori et al. 2024, arXiv 2407.21783; the architecture: Touvron et al. 2023, arXiv 2302.13971) as a reader
//! of cell sentences: gene symbols from the highest count to the lowest, as scDrugMap and others embed cells with it.
//!
//! A text model: genes are pieces of words to it. Checkpoints are those of the Hugging Face hub; the weights stay in the
//! 16 bits in which they are published, are read layer by layer, and of the table of tokens only the rows that occur.

mod checkpoint;
mod config;
mod embed;
mod layer;
mod model;
mod rope;
mod token_rows;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use embed::{Encoder, Pooling, Readout};
pub use model::LlamaEncoder;
pub use rope::Rope;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::sentence::SENTENCE_OPTIONS;
use crate::tokens::CellTokenizer;

/// The registry's entry.
pub struct Llama;

impl CellModel for Llama {
    fn name(&self) -> &'static str {
        "llama"
    }

    fn about(&self) -> &'static str {
        "Llama 3: text model over sentences of gene symbols ranked by count"
    }

    fn vocabulary(&self) -> &'static str {
        "words of English text"
    }

    fn licence(&self) -> &'static str {
        "Meta Llama 3 Community License: attribution, acceptable use; do not pass the weights on without it"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => SENTENCE_OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["q_proj", "v_proj"]
    }

    fn files(&self, checkpoint: &Path, purpose: Purpose, _: &Options) -> Result<Vec<PathBuf>, ModelError> {
        Checkpoint::find(checkpoint)?.files(purpose)
    }

    fn tokenizer(
        &self,
        checkpoint: &Path,
        genes: &GeneIds,
        options: &Options,
    ) -> Result<Box<dyn CellTokenizer>, ModelError> {
        Ok(Box::new(Checkpoint::find(checkpoint)?.tokenizer(genes, options)?))
    }

    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError> {
        let found = Checkpoint::find(load.checkpoint)?;
        Ok(Box::new(Encoder::load(&found, load.device, load.options, load.adapters)?))
    }
}
