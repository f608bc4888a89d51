//! Vectors of cells from a scBERT.

use celldag_shaders::Tensor;
use celldag_shaders::ops::{self, Pool};
use serde::{Deserialize, Serialize};

use super::NAME;
use super::tokenize::LEVELS;
use crate::blocks::{PerformerRows, depth, rows_from_end};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::model::LoadEncoder;
use crate::option::{ModelOption, OptionDefault, OptionType, written_out};
use crate::performer_lm::{self, KEY_MAXIMUM, KeyMaximum, PerformerEncoder, Tables};
use crate::tokens::CellTokens;

/// One row for the token behind the genes.
const TABLES: Tables = Tables { model: NAME, levels: LEVELS, behind_genes: 1 };

pub(super) const OPTIONS: &[ModelOption] = &[
    KEY_MAXIMUM,
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer and the final normalisation, -2: of the layer before, and so on",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["mean", "cls"]),
        default: OptionDefault::Value("mean"),
        about: "mean of all tokens, or the token behind the genes",
    },
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over all tokens, the last one included.
    #[default]
    Mean,
    /// The state of the token behind the genes, which the original classifier calls so.
    Cls,
}

/// What is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// -1 is the output of the last layer, -2 of the one before, and so on down to the embeddings.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Over which keys the stabiliser of the attention is taken.
    pub key_maximum: KeyMaximum,
}

impl Default for Readout {
    fn default() -> Self {
        Self { layer: -1, pooling: Pooling::default(), key_maximum: KeyMaximum::default() }
    }
}

/// A scBERT on a device.
#[derive(Debug)]
pub struct Encoder {
    model: PerformerEncoder,
    info: EncoderInfo,
    readout: Readout,
}

impl Encoder {
    /// Loads weights, with options and low-rank adapters over the linear layers.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen, or left over, the gene list does not fit them, an option or an adapter cannot be
    /// used, or the device fails.
    pub fn load(load: LoadEncoder<'_>) -> Result<Self, ModelError> {
        let readout: Readout = load.options.read()?;
        let (model, info) = performer_lm::load(load, &TABLES, readout.layer, readout.key_maximum)?;
        let info = EncoderInfo { vocabulary_size: LEVELS, options: written_out(&readout), ..info };
        Ok(Self { model, info, readout })
    }

    /// What is read.
    #[must_use]
    pub fn readout(&self) -> Readout {
        self.readout
    }

    /// Token states of one cell at a layer, `[tokens, hidden]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        let readout = Readout { layer, ..self.readout };
        Ok(self.states(std::slice::from_ref(cell), readout)?.0.read()?)
    }

    /// One vector a cell, `[cells, dim]`, on the device: what a head is trained on.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn read(&self, cells: &[CellTokens], readout: Readout) -> Result<Tensor, ModelError> {
        let (states, rows) = self.states(cells, readout)?;
        Ok(match readout.pooling {
            Pooling::Mean => ops::pool(&states, rows.segments(), Pool::Mean { skip_first: 0, skip_last: 0 })?,
            Pooling::Cls => rows_from_end(&states, rows.segments(), 1)?,
        })
    }

    fn states(&self, cells: &[CellTokens], readout: Readout) -> Result<(Tensor, PerformerRows), ModelError> {
        let depth = depth(readout.layer, self.info.layers)?;
        if let Some(strange) = cells.iter().find(|cell| cell.is_empty() || cell.len() > self.info.context) {
            let message =
                format!("a cell has {} tokens, the model reads 1 to {}", strange.len(), self.info.context);
            return Err(ModelError::Tokens(message));
        }
        let levels: Vec<u32> = cells.iter().flat_map(|cell| cell.ids.iter().copied()).collect();
        // The place of a token is its gene.
        let genes: Vec<u32> = cells.iter().flat_map(|cell| (0_u32..).take(cell.len())).collect();
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let rows = PerformerRows::new(self.model.device(), &lengths, readout.key_maximum.rule())?;
        Ok((self.model.states(&levels, &genes, &rows, depth)?, rows))
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        self.read(batch.cells, self.readout)
    }
}
