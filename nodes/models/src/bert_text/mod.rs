//! Text encoders of the BERT family (Devlin et al. 2019; Reimers and Gurevych 2019, 10.18653/v1/D19-1410) such as
//! all-MiniLM-L6-v2, as readers of cell sentences: a baseline that never saw a cell, against which models of cells must show
//! what their training is worth.

mod checkpoint;
mod embed;

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;

pub use crate::blocks::Normalize;
pub use checkpoint::Checkpoint;
pub use embed::{Encoder, Pooling, Readout};

use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::{CellModel, LoadEncoder, Purpose};
use crate::option::{ModelOption, Options};
use crate::sentence::SENTENCE_OPTIONS;
use crate::tokens::CellTokenizer;

/// The registry's entry.
pub struct BertText;

impl CellModel for BertText {
    fn name(&self) -> &'static str {
        "bert-text"
    }

    fn about(&self) -> &'static str {
        "BERT text encoders such as all-MiniLM-L6-v2 over sentences of gene symbols: a baseline"
    }

    fn vocabulary(&self) -> &'static str {
        "words of English text"
    }

    fn licence(&self) -> &'static str {
        "all-MiniLM-L6-v2: Apache-2.0; others: see the model card"
    }

    fn options(&self, purpose: Purpose) -> &'static [ModelOption] {
        match purpose {
            Purpose::Tokenize => SENTENCE_OPTIONS,
            Purpose::Embed => embed::OPTIONS,
        }
    }

    fn epoch(&self) -> u32 {
        2
    }

    fn lora_targets(&self) -> &'static [&'static str] {
        &["query", "value"]
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
