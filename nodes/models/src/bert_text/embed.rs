//! Vectors of cells from a BERT text encoder, read as the sentence-transformers library does.

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use crate::adapter::Adapters;
use crate::blocks::{BERT, BERT_UNREAD, BertEncoder, Normalize, depth};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::published::Published;
use crate::tokens::CellTokens;
use crate::vocabulary::digest;

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-999, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer, -2: of the one before, and so on",
    },
    ModelOption {
        name: "normalize",
        ty: OptionType::Choice(&["none", "l2"]),
        default: OptionDefault::Decided("l2 where modules.json of the checkpoint says so"),
        about: "l2: every vector is divided by its length",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["mean", "cls", "max"]),
        default: OptionDefault::Decided("what 1_Pooling/config.json of the checkpoint says, else mean"),
        about: "mean of all tokens with [CLS] and [SEP], the [CLS] token, or the largest values of all tokens",
    },
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over all tokens, `[CLS]` and `[SEP]` included.
    Mean,
    /// The state of the `[CLS]` token.
    Cls,
    /// The largest value of each column over all tokens.
    Max,
}

/// Which layer is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Readout {
    /// -1 is the output of the last layer, -2 of the one before, and so on down to the embedding output.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// What is done with it.
    pub normalize: Normalize,
}

#[derive(Deserialize)]
struct Chosen {
    layer: Option<i32>,
    pooling: Option<Pooling>,
    normalize: Option<Normalize>,
}

/// A text encoder on a device.
#[derive(Debug)]
pub struct Encoder {
    model: BertEncoder,
    info: EncoderInfo,
    readout: Readout,
}

impl Encoder {
    /// Loads weights, with low-rank adapters over the linear layers. Tensors are called `bert.*`, or the same without the
    /// prefix.
    ///
    /// # Errors
    /// When tensors are missing, misshapen or left over, the tokenizer or an adapter does not fit, an option cannot be used,
    /// or the device fails.
    pub fn load(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let config = &checkpoint.config;
        let sizes = config.sizes()?;
        let (chosen, usual): (Chosen, Readout) = (options.read()?, checkpoint.readout);
        let readout = Readout {
            layer: chosen.layer.unwrap_or(usual.layer),
            pooling: chosen.pooling.unwrap_or(usual.pooling),
            normalize: chosen.normalize.unwrap_or(usual.normalize),
        };
        depth(readout.layer, config.num_hidden_layers)?;
        let vocabulary = checkpoint.text_tokenizer()?.vocabulary();
        let published = Published::new(Weights::open(&[checkpoint.weights_file()?])?, adapters, BERT)?;
        let (model, parameters) =
            published.load(device, options, &BERT_UNREAD, |params| BertEncoder::load(params, &sizes))?;
        let info = EncoderInfo {
            variant: config.variant(),
            vocabulary: digest(&vocabulary),
            vocabulary_size: config.vocab_size,
            context: config.max_position_embeddings,
            layers: config.num_hidden_layers,
            dim: config.hidden_size,
            parameters,
            widest: config.widest(),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        Ok(Self { model, info, readout })
    }

    /// What is read.
    #[must_use]
    pub fn readout(&self) -> Readout {
        self.readout
    }

    /// Token states of one text at a layer, `[tokens, dim]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, text: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.model.states(std::slice::from_ref(text), depth(layer, self.info.layers)?)?;
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
        let pool = match self.readout.pooling {
            Pooling::Mean => Pool::Mean { skip_first: 0, skip_last: 0 },
            Pooling::Cls => Pool::First,
            Pooling::Max => Pool::Max { skip_first: 0, skip_last: 0 },
        };
        Ok(self.readout.normalize.apply(&ops::pool(&states, &segments, pool)?)?)
    }
}
