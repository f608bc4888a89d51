//! scFoundation (Hao et al. 2024, 10.1038/s41592-024-02305-7): a transformer over the expressed genes of a cell with their
//! values as continuous numbers, and two tokens T and S that say how deeply the cell should be and was sequenced.
//!
//! The published file holds three models of one architecture (`key`): for cells, for cells with their read depth raised, and
//! for genes. The decoder, a Performer over all genes, also those that the cell does not express, gives vectors and
//! expression of genes.

mod autobin;
mod checkpoint;
mod config;
mod decoder;
mod depth;
mod embed;
mod genes;
mod model;
mod tokenize;
mod vocabulary;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use autobin::AutoBin;
pub use checkpoint::{Checkpoint, Key};
pub use config::{Config, Part};
pub use decoder::Decoder;
pub use depth::TargetDepth;
pub use embed::{Encoder, Output, Pooling, Readout};
pub use genes::GeneDecoder;
pub use model::TokenEncoder;
pub use tokenize::{Input, Normalized, Tokenizer};
pub use vocabulary::Vocabulary;

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::gene_encoder::GeneEncoder;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::tokens::CellTokenizer;

/// The registry's entry.
pub struct ScFoundation;

impl CellModel for ScFoundation {
    fn name(&self) -> &'static str {
        "scfoundation"
    }

    fn about(&self) -> &'static str {
        "scFoundation: transformer over expressed genes with continuous values and tokens of read depth"
    }

    fn vocabulary(&self) -> &'static str {
        "gene symbols"
    }

    fn licence(&self) -> &'static str {
        "scFoundation License: non-commercial research, no redistribution, no derived parameters"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => tokenize::OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn reads_counts(&self, options: &Options) -> bool {
        tokenize::reads_counts(options)
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["out_proj"]
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

    fn gene_options(&self) -> Option<&'static [ModelOption]> {
        Some(genes::OPTIONS)
    }

    fn gene_encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn GeneEncoder>, ModelError> {
        Ok(Box::new(GeneDecoder::load(load)?))
    }
}
