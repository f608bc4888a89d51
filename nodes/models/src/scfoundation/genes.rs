//! Vectors of genes from the decoder: every cell gives one to each gene of the list, expressed or not.

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, Key};
use super::embed::{Encoder, KEY, Output, Readout};
use super::vocabulary::Vocabulary;
use crate::encoder::{CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::gene_encoder::{GeneEncoder, GeneVectors};
use crate::model::LoadEncoder;
use crate::option::{ModelOption, OptionDefault, written_out};
use crate::tokens::CellTokens;

pub(super) const OPTIONS: &[ModelOption] = &[ModelOption { default: OptionDefault::Value("gene"), ..KEY }];

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Chosen {
    key: Option<Key>,
}

/// A scFoundation with its decoder, read for genes.
#[derive(Debug)]
pub struct GeneDecoder {
    encoder: Encoder,
    info: EncoderInfo,
    genes: Vec<String>,
}

impl GeneDecoder {
    /// Loads one model of the file, the one for genes unless the options say otherwise.
    ///
    /// # Errors
    /// As [`Encoder::load`].
    pub fn load(load: LoadEncoder<'_>) -> Result<Self, ModelError> {
        let Chosen { key } = load.options.read()?;
        let checkpoint = Checkpoint::find(load.checkpoint)?;
        let readout = Readout { key, output: Output::Expression, ..Readout::default() };
        let encoder = Encoder::with(readout, &checkpoint, load.device, load.options, load.adapters)?;
        let mut genes: Vec<(u32, String)> = Vocabulary::read(&checkpoint.gene_list)?
            .genes
            .into_iter()
            .map(|(name, place)| (place, name))
            .collect();
        genes.sort_unstable();
        let info = EncoderInfo {
            dim: encoder.decoder()?.shape().hidden,
            options: written_out(&Chosen { key: encoder.key() }),
            ..encoder.info().clone()
        };
        Ok(Self { encoder, info, genes: genes.into_iter().map(|(_, name)| name).collect() })
    }
}

impl GeneEncoder for GeneDecoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn genes(&self) -> &[String] {
        &self.genes
    }

    fn in_cell(&self, cell: &CellTokens) -> Result<GeneVectors, ModelError> {
        let values = self.encoder.gene_embeddings(cell)?;
        Ok(GeneVectors { genes: (0_u32..).take(self.genes.len()).collect(), values })
    }
}
