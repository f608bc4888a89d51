//! Vectors of cells from a tGPT, read as its authors do.

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::model::Decoder;
use crate::adapter::{Adapters, LayerRows};
use crate::blocks::depth;
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::params::Params;
use crate::published::Published;
use crate::tokens::CellTokens;

/// What names begin with in a file of one with a head.
const TRANSFORMER: &str = "transformer";
/// What files hold that embeddings do not need: the head of the language model, which is the table of words again, the
/// classifier of fine-tuned models, and the causal mask that transformers saved until 2022.
const UNREAD: [&str; 5] = ["lm_head.", "score.", "classifier.", "h.*.attn.bias", "h.*.attn.masked_bias"];

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer, normalised, -2: of the one before, and so on",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["mean", "mean_all"]),
        default: OptionDefault::Value("mean"),
        about: "mean of the gene tokens, or of all tokens, special ones and padding of the tokens file included",
    },
    ModelOption {
        name: "token_types",
        ty: OptionType::Bool,
        default: OptionDefault::Value("true"),
        about: "adds the vector of the token 0 at every position, as in training; false for embeddings like scDrugMap's",
    },
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over the gene tokens.
    #[default]
    Mean,
    /// Mean over all tokens.
    MeanAll,
}

/// What is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// -1 is the output of the last block behind the final normalisation, -2 that of the block before, and so on down to
    /// the embedding output.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Whether the vector of the token type is added to the input.
    pub token_types: bool,
}

impl Default for Readout {
    /// As in the authors' example, with the version of transformers that they used.
    fn default() -> Self {
        Self { layer: -1, pooling: Pooling::Mean, token_types: true }
    }
}

/// A tGPT on a device.
#[derive(Debug)]
pub struct Encoder {
    model: Decoder,
    info: EncoderInfo,
    readout: Readout,
    pad: u32,
}

impl Encoder {
    /// Loads weights, with low-rank adapters over the linear layers. Tensors are called `transformer.*`, or the same without
    /// the prefix; adapters likewise.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen, or left over, an adapter does not fit, an option cannot be used, or the device
    /// fails.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let Checkpoint { config, vocabulary, weights_file, .. } = checkpoint;
        let readout: Readout = options.read()?;
        depth(readout.layer, config.n_layer)?;
        let published = Published::new(Weights::open(&[weights_file])?, adapters, TRANSFORMER)?;
        let load = |params: &Params<'_>| Decoder::load(params, config, readout.token_types);
        let (model, parameters) = published.load(device, options, &UNREAD, load)?;
        let info = EncoderInfo {
            variant: config.variant(),
            vocabulary: vocabulary.digest.clone(),
            vocabulary_size: vocabulary.size,
            context: config.n_positions,
            layers: config.n_layer,
            dim: config.n_embd,
            parameters,
            widest: config.inner().max(config.n_embd),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        Ok(Self { model, info, readout, pad: vocabulary.pad })
    }

    /// Token states of one cell at a layer, `[tokens, dim]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.model.states(std::slice::from_ref(cell), depth(layer, self.info.layers)?)?;
        Ok(states.read()?)
    }

    /// A cell without its padding, which nothing in front of it can see.
    fn unpadded(&self, cell: &CellTokens) -> CellTokens {
        let length = cell.ids.iter().rposition(|&id| id != self.pad).map_or(0, |last| last + 1);
        CellTokens::of_ids(cell.ids[..length].to_vec())
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        let Readout { layer, pooling, .. } = self.readout;
        let layers = depth(layer, self.info.layers)?;
        let unpadded: Vec<CellTokens> = batch.cells.iter().map(|cell| self.unpadded(cell)).collect();
        if unpadded.iter().any(|cell| cell.len() < 3) {
            return Err(ModelError::Tokens("a cell has no gene".to_owned()));
        }
        // Padding is computed only where it is asked to count.
        let (cells, pool) = match pooling {
            Pooling::Mean => (unpadded.as_slice(), Pool::Mean { skip_first: 1, skip_last: 1 }),
            Pooling::MeanAll => (batch.cells, Pool::Mean { skip_first: 0, skip_last: 0 }),
        };
        let (states, segments) = self.model.states(cells, layers)?;
        Ok(ops::pool(&states, &segments, pool)?)
    }

    fn layer_rows(&self, _layer: &str, cells: &[CellTokens]) -> Vec<LayerRows> {
        let rows = |cell: &CellTokens| match self.readout.pooling {
            Pooling::Mean => self.unpadded(cell).len(),
            Pooling::MeanAll => cell.len(),
        };
        vec![LayerRows::OfCells(cells.iter().map(rows).collect())]
    }
}
