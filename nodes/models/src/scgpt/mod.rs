//! scGPT (Cui et al. 2024, 10.1038/s41592-024-02201-0): a transformer over the expressed genes of a cell, each with the bin
//! of its count among the cell's own counts.
//!
//! The set of genes has no order: there are no positions. A token `<cls>` in front of the genes gathers the cell.

mod binning;
mod checkpoint;
mod config;
mod embed;
mod model;
mod tokenize;
mod vocabulary;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use crate::blocks::Normalize;
pub use binning::{Binning, bins, digits, edges, spread};
pub use checkpoint::Checkpoint;
pub use config::Config;
pub use embed::{Encoder, Pooling, Readout};
pub use model::TokenEncoder;
pub use tokenize::{Sampling, Settings, Tokenizer};
pub use vocabulary::Vocabulary;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::tokens::CellTokenizer;

/// The registry's entry.
pub struct Scgpt;

impl CellModel for Scgpt {
    fn name(&self) -> &'static str {
        "scgpt"
    }

    fn about(&self) -> &'static str {
        "scGPT: transformer over expressed genes with binned counts"
    }

    fn vocabulary(&self) -> &'static str {
        "gene symbols"
    }

    fn licence(&self) -> &'static str {
        "MIT"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => tokenize::OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["out_proj"]
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
        Ok(Box::new(Encoder::load(&found, load.device, load.options, load.adapters)?))
    }
}
