//! Vectors of cells from a Llama.

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::model::LlamaEncoder;
use crate::adapter::Adapters;
use crate::blocks::{depth, rows_from_end};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::tokens::CellTokens;
use crate::vocabulary::digest;

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-999, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer, normalised; -2: of the layer before, not normalised; and so on",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["mean", "last"]),
        default: OptionDefault::Value("mean"),
        about: "mean of all tokens with the one that begins the text, or the last token, which has read all others",
    },
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over all tokens, the one that begins the text included.
    #[default]
    Mean,
    /// The state of the last token.
    Last,
}

/// Which layer is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// -1 is the output of the last layer after the last normalisation, -2 that of the layer before, and so on down to the
    /// embedding of the tokens.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
}

impl Default for Readout {
    fn default() -> Self {
        Self { layer: -1, pooling: Pooling::Mean }
    }
}

/// A Llama on a device.
pub struct Encoder {
    model: LlamaEncoder,
    info: EncoderInfo,
    readout: Readout,
}

impl Encoder {
    /// Loads weights, with low-rank adapters over the linear layers.
    ///
    /// # Errors
    /// When tensors are missing, misshapen, or left over, the tokenizer or an adapter does not fit, an option cannot be used,
    /// or the device fails.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let config = &checkpoint.config;
        let readout: Readout = options.read()?;
        depth(readout.layer, config.num_hidden_layers)?;
        let vocabulary = checkpoint.text_tokenizer()?.vocabulary();
        let weights = Weights::open(&[checkpoint.weights_file()?])?;
        let model = LlamaEncoder::load(weights, config, device, options, adapters)?;
        let info = EncoderInfo {
            variant: config.variant(),
            vocabulary: digest(&vocabulary),
            vocabulary_size: config.vocab_size,
            context: config.max_position_embeddings,
            layers: config.num_hidden_layers,
            dim: config.hidden_size,
            parameters: model.parameters(),
            widest: config
                .intermediate_size
                .max(config.hidden_size)
                .max(config.num_attention_heads * config.head_width()),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        Ok(Self { model, info, readout })
    }

    /// Token states of one cell at a layer, `[tokens, dim]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.model.states(std::slice::from_ref(cell), depth(layer, self.info.layers)?)?;
        Ok(states.read()?)
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        if batch.cells.iter().any(CellTokens::is_empty) {
            return Err(ModelError::Tokens("a cell has no token".to_owned()));
        }
        let (states, segments) =
            self.model.states(batch.cells, depth(self.readout.layer, self.info.layers)?)?;
        Ok(match self.readout.pooling {
            Pooling::Mean => ops::pool(&states, &segments, Pool::Mean { skip_first: 0, skip_last: 0 })?,
            Pooling::Last => rows_from_end(&states, &segments, 1)?,
        })
    }
}
