//! CellLM (Zhao et al. 2023, arXiv 2306.04371): a Performer over the expressed genes of a cell, each with a vector of its
//! gene from an interaction network and its expression in six levels.
//!
//! The published code masks padding by half: its values are zero, but its keys stay in the denominator of the attention. So
//! results depend on the length that cells are padded to, which therefore belongs to the tokens: the last token of a cell
//! stands for its padding, with their number as its value. The padding is computed once, and counted that often.

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
const NAME: &str = "CellLM";
/// Level of the token before the genes.
const CLS: u32 = 6;
/// Level of padding.
const PAD: u32 = 7;
/// Rows of the table of levels: 0 to 5 of genes, and those two.
const LEVELS: usize = 8;

/// The registry's entry.
pub struct CellLm;

impl CellModel for CellLm {
    fn name(&self) -> &'static str {
        "celllm"
    }

    fn about(&self) -> &'static str {
        "CellLM: Performer over the expressed genes of a cell with network vectors and six levels of expression"
    }

    fn vocabulary(&self) -> &'static str {
        "gene symbols"
    }

    fn licence(&self) -> &'static str {
        "code: MIT (OpenBioMed); nothing is said about the weights"
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
