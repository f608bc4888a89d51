//! tGPT (Shen et al. 2023, 10.1016/j.isci.2023.106536): GPT-2 over the gene symbols of a cell in descending order of their
//! counts.

mod checkpoint;
mod config;
mod embed;
mod model;
mod tokenize;
mod vocabulary;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use embed::{Encoder, Pooling, Readout};
pub use model::Decoder;
pub use tokenize::{Settings, Tokenizer};
pub use vocabulary::Vocabulary;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::tokens::CellTokenizer;

/// The registry's entry.
pub struct Tgpt;

impl CellModel for Tgpt {
    fn name(&self) -> &'static str {
        "tgpt"
    }

    fn about(&self) -> &'static str {
        "tGPT: GPT-2 over gene symbols ranked by their counts"
    }

    fn vocabulary(&self) -> &'static str {
        "gene symbols"
    }

    fn licence(&self) -> &'static str {
        "code: GPL-3.0; no licence of the weights was found"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => tokenize::OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["c_attn"]
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
        Ok(Box::new(Tokenizer::new(&Checkpoint::find(checkpoint)?, genes, options)?))
    }

    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError> {
        let found = Checkpoint::find(load.checkpoint)?;
        Ok(Box::new(Encoder::load(&found, load.device, load.options, load.adapters)?))
    }
}
