//! Vectors of cells from a Geneformer, read as its authors do.

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::vocabulary::Vocabulary;
use crate::adapter::Adapters;
use crate::blocks::{BERT, BERT_UNREAD, BertEncoder, depth};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::published::Published;
use crate::tokens::CellTokens;

pub(super) const OPTIONS: &[ModelOption] = &[
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-2"),
        about: "-1: output of the last layer, -2: of the one before, and so on",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["mean", "cls"]),
        default: OptionDefault::Decided("cls for V2, mean for V1"),
        about: "mean of the gene tokens, or the <cls> token",
    },
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over the gene tokens.
    Mean,
    /// The state of the `<cls>` token.
    Cls,
}

/// Which layer is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Readout {
    /// -1 is the output of the last layer, -2 of the one before, and so on down to the embedding output.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
}

#[derive(Deserialize)]
struct Chosen {
    layer: Option<i32>,
    pooling: Option<Pooling>,
}

/// A Geneformer on a device.
#[derive(Debug)]
pub struct Encoder {
    model: BertEncoder,
    info: EncoderInfo,
    framed: bool,
    readout: Readout,
}

impl Encoder {
    /// Loads weights. Tensors are called `bert.*`, or the same without the prefix.
    ///
    /// # Errors
    /// When a tensor of the encoder is missing, misshapen, or left over, or the device fails.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self, ModelError> {
        Self::adapted(checkpoint, device, &Options::default(), &Adapters::default())
    }

    /// As [`Encoder::load`], with options and with low-rank adapters over its linear layers.
    ///
    /// # Errors
    /// Also when an option cannot be used, or an adapter belongs to no layer or does not fit.
    pub fn adapted(
        checkpoint: &Checkpoint,
        device: &Device,
        options: &Options,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let vocabulary = Vocabulary::new(&checkpoint.tokens, &checkpoint.dictionaries.tokens)?;
        let config = &checkpoint.config;
        let weights = Weights::open(std::slice::from_ref(&checkpoint.weights_file))?;
        let published = Published::new(weights, adapters, BERT)?;
        let sizes = config.sizes()?;
        let (model, parameters) =
            published.load(device, options, &BERT_UNREAD, |params| BertEncoder::load(params, &sizes))?;
        let framed = vocabulary.frame.is_some();
        // EmbExtractor's emb_layer = -1, which is the second-to-last layer.
        let layer = -2;
        let pooling = if framed { Pooling::Cls } else { Pooling::Mean };
        let chosen: Chosen = options.read()?;
        let readout =
            Readout { layer: chosen.layer.unwrap_or(layer), pooling: chosen.pooling.unwrap_or(pooling) };
        let info = EncoderInfo {
            variant: vocabulary.variant().to_owned(),
            vocabulary: vocabulary.digest,
            vocabulary_size: vocabulary.size,
            context: config.max_position_embeddings,
            layers: config.num_hidden_layers,
            dim: config.hidden_size,
            parameters,
            widest: config.widest(),
            options: written_out(&readout),
            ..EncoderInfo::default()
        };
        let encoder = Self { model, info, framed, readout };
        encoder.check(readout)?;
        Ok(encoder)
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
    pub fn hidden(&self, cell: &[u32], layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.model.states(&[cell.to_vec().into()], depth(layer, self.info.layers)?)?;
        Ok(states.read()?)
    }

    /// One vector a cell, `[cells, dim]`, on the device: what a head is trained on.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn read(&self, cells: &[CellTokens], readout: Readout) -> Result<Tensor, ModelError> {
        self.check(readout)?;
        // <cls> and <eos> are no genes: the authors leave them out of the mean.
        let frame = usize::from(self.framed);
        if cells.iter().any(|cell| cell.len() <= 2 * frame) {
            return Err(ModelError::Tokens("a cell has no gene".to_owned()));
        }
        let (states, segments) = self.model.states(cells, depth(readout.layer, self.info.layers)?)?;
        let pool = match readout.pooling {
            Pooling::Mean => Pool::Mean { skip_first: frame, skip_last: frame },
            Pooling::Cls => Pool::First,
        };
        Ok(ops::pool(&states, &segments, pool)?)
    }

    fn check(&self, readout: Readout) -> Result<(), ModelError> {
        depth(readout.layer, self.info.layers)?;
        if readout.pooling == Pooling::Cls && !self.framed {
            let message = "pooling `cls` needs a <cls> token, which Geneformer V1 does not have; use `mean`";
            return Err(ModelError::Option(message.to_owned()));
        }
        Ok(())
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
