//! UCE, Universal Cell Embeddings (Rosen et al. 2023, 10.1101/2023.11.28.568918): a transformer over genes that are drawn
//! by their expression, ordered by their place in the genome, and known by the protein language model's vectors of their
//! proteins.
//!
//! The published models have 4 and 33 layers; sizes are read from the weights. A gene's vector comes from a table of several
//! gigabytes, of which only the rows that occur are read.

mod checkpoint;
mod draws;
mod embed;
mod genome;
mod model;
mod sampling;
mod table;
mod tokenize;
mod vocabulary;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use crate::blocks::Normalize;
pub use checkpoint::Checkpoint;
pub use draws::Mt19937;
pub use embed::{Encoder, Pooling, Readout};
pub use genome::{Genome, Locus};
pub use model::Transformer;
pub use sampling::{Rng, Sampling};
pub use table::TokenTable;
pub use tokenize::Tokenizer;
pub use vocabulary::Vocabulary;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::tokens::CellTokenizer;

/// The registry's entry.
pub struct Uce;

impl CellModel for Uce {
    fn name(&self) -> &'static str {
        "uce"
    }

    fn about(&self) -> &'static str {
        "UCE, 4 and 33 layers: a transformer over drawn genes, known by the vectors of their proteins"
    }

    fn vocabulary(&self) -> &'static str {
        "gene symbols with protein vectors"
    }

    fn licence(&self) -> &'static str {
        "code: MIT; nothing is said about the weights"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => sampling::OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["out_proj"]
    }

    fn files(
        &self,
        checkpoint: &Path,
        purpose: Purpose,
        options: &Options,
    ) -> Result<Vec<PathBuf>, ModelError> {
        Checkpoint::find(checkpoint)?.files(purpose, options)
    }

    fn tokenizer(
        &self,
        checkpoint: &Path,
        genes: &GeneIds,
        options: &Options,
    ) -> Result<Box<dyn CellTokenizer>, ModelError> {
        Ok(Box::new(Tokenizer::new(&Checkpoint::find(checkpoint)?, genes, options)?))
    }

    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError> {
        let found = Checkpoint::find(load.checkpoint)?;
        Ok(Box::new(Encoder::load(&found, load.device, load.options, load.adapters)?))
    }
}
