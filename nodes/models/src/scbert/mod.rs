//! scBERT (Yang et al. 2022, 10.1038/s42256-022-00534-z): a Performer over all genes of a fixed vocabulary, each with its
//! gene2vec vector and its expression in six levels.
//!
//! Every cell is a sequence of the same length, also its unexpressed genes. The order of the genes is not in the weights;
//! the user must supply it (see `GeneList`).

mod embed;
mod tokenize;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use embed::{Encoder, Pooling, Readout};
pub use tokenize::Tokenizer;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::performer_lm::Folder;
use crate::tokens::CellTokenizer;

/// As messages write it.
const NAME: &str = "scBERT";

/// The registry's entry.
pub struct ScBert;

impl CellModel for ScBert {
    fn name(&self) -> &'static str {
        "scbert"
    }

    fn about(&self) -> &'static str {
        "scBERT: Performer over all genes of a vocabulary with gene2vec vectors and six levels of expression"
    }

    fn vocabulary(&self) -> &'static str {
        "gene symbols"
    }

    fn licence(&self) -> &'static str {
        "code: GPL-3.0, research use; nothing is said about the weights"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => tokenize::OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["to_q", "to_k", "to_v"]
    }

    fn files(&self, checkpoint: &Path, purpose: Purpose, _: &Options) -> Result<Vec<PathBuf>, ModelError> {
        Folder::open(checkpoint, NAME)?.read_for(purpose)
    }

    fn tokenizer(
        &self,
        checkpoint: &Path,
        genes: &GeneIds,
        options: &Options,
    ) -> Result<Box<dyn CellTokenizer>, ModelError> {
        Ok(Box::new(Tokenizer::new(checkpoint, genes, options)?))
    }

    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError> {
        Ok(Box::new(Encoder::load(load)?))
    }
}
