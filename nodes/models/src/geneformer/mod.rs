//! Geneformer (Theodoris et al. 2023, 10.1038/s41586-023-06139-9; V2: Chen et al. 2024, 10.1101/2024.08.16.608180): a BERT
//! encoder over the genes of a cell in the order of their expression relative to each gene's median.
//!
//! V1 and V2 differ in sizes, vocabulary and two special tokens. What a checkpoint is, is decided by its files, not by
//! the name of its folder.

mod checkpoint;
mod embed;
mod tokenize;
mod vocabulary;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use checkpoint::Checkpoint;
pub(crate) use checkpoint::Dictionaries;
pub use embed::{Encoder, Pooling, Readout};
pub use tokenize::Tokenizer;
pub use vocabulary::Vocabulary;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::tokens::CellTokenizer;

/// The registry's entry.
pub struct Geneformer;

impl CellModel for Geneformer {
    fn name(&self) -> &'static str {
        "geneformer"
    }

    fn about(&self) -> &'static str {
        "Geneformer V1 and V2: BERT over genes ranked by expression relative to their medians"
    }

    fn vocabulary(&self) -> &'static str {
        "Ensembl ids"
    }

    fn licence(&self) -> &'static str {
        "Apache-2.0"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => tokenize::OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["query", "key", "value"]
    }

    fn files(&self, checkpoint: &Path, purpose: Purpose, _: &Options) -> Result<Vec<PathBuf>, ModelError> {
        Ok(Checkpoint::find(checkpoint)?.files(purpose))
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
        Ok(Box::new(Encoder::adapted(&found, load.device, load.options, load.adapters)?))
    }
}
