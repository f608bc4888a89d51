//! Geneformer (Theodoris et al. 2023, 10.1038/s41586-023-06139-9; V2: Chen et al. 2024, 10.1101/2024.08.16.608180): a BERT
//! encoder over the genes of a cell in the order of their expression relative to each gene's median.
//!
//! V1 and V2 differ in sizes, vocabulary and two special tokens. What a checkpoint is, is decided by its files, not by
//! the name of its folder.

mod checkpoint;
mod config;
mod embed;
mod model;
mod tokenize;
mod vocabulary;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;
use celldag_shaders::Device;

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use embed::Encoder;
pub use model::BertEncoder;
pub use tokenize::Tokenizer;
pub use vocabulary::Vocabulary;

use crate::error::ModelError;
use crate::registry::{CellEncoder, CellModel, CellTokenizer, Purpose};

/// The registry's entry.
pub struct Geneformer;

impl CellModel for Geneformer {
    fn name(&self) -> &'static str {
        "geneformer"
    }

    fn about(&self) -> &'static str {
        "Geneformer V1 and V2: BERT over genes ranked by expression relative to their medians"
    }

    fn files(&self, checkpoint: &Path, purpose: Purpose) -> Result<Vec<PathBuf>, ModelError> {
        Ok(Checkpoint::find(checkpoint)?.files(purpose))
    }

    fn tokenizer(&self, checkpoint: &Path, genes: &GeneIds) -> Result<Box<dyn CellTokenizer>, ModelError> {
        let found = Checkpoint::find(checkpoint)?;
        Ok(Box::new(Tokenizer::new(&found, genes)?))
    }

    fn encoder(&self, checkpoint: &Path, device: &Device) -> Result<Box<dyn CellEncoder>, ModelError> {
        let found = Checkpoint::find(checkpoint)?;
        Ok(Box::new(Encoder::load(&found, device)?))
    }
}
