//! Vectors of cells from a Geneformer, read as its authors do.

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Device, Tensor};

use super::checkpoint::Checkpoint;
use super::model::BertEncoder;
use super::vocabulary::Vocabulary;
use crate::adapter::Adapters;
use crate::error::ModelError;
use crate::params::Params;
use crate::registry::{CellEncoder, EncoderInfo, Pooling, Readout};

/// Parts of published checkpoints that embeddings do not need: the head of masked gene modelling, the pooler and
/// classifier of fine-tuned models, and a buffer of 0, 1, 2, ... that old versions of transformers wrote.
const IGNORED: [&str; 4] = ["cls.", "pooler.", "classifier.", "embeddings.position_ids"];

/// A Geneformer on a device.
#[derive(Debug)]
pub struct Encoder {
    model: BertEncoder,
    info: EncoderInfo,
    framed: bool,
}

impl Encoder {
    /// Loads weights. Tensors are called `bert.*`, or the same without the prefix.
    ///
    /// # Errors
    /// When a tensor of the encoder is missing, misshapen, or left over, or the device fails.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self, ModelError> {
        Self::adapted(checkpoint, device, &Adapters::default())
    }

    /// As [`Encoder::load`], with low-rank adapters over its linear layers.
    ///
    /// # Errors
    /// Also when an adapter belongs to no layer or does not fit.
    pub fn adapted(
        checkpoint: &Checkpoint,
        device: &Device,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let vocabulary = Vocabulary::new(&checkpoint.tokens, &checkpoint.dictionaries.tokens)?;
        let weights = Weights::open(std::slice::from_ref(&checkpoint.weights_file))?;
        let root = Params::new(&weights, device).adapted(adapters);
        let prefixed = weights.names().any(|name| name.starts_with("bert."));
        let params = if prefixed { root.at("bert") } else { root };
        let config = &checkpoint.config;
        let model = BertEncoder::load(&params, config)?;
        let with_prefix = IGNORED.map(|name| params.name(name));
        let ignored: Vec<&str> = IGNORED.into_iter().chain(with_prefix.iter().map(String::as_str)).collect();
        weights.finish(&ignored)?;
        adapters.finish()?;
        let framed = vocabulary.frame.is_some();
        // EmbExtractor's emb_layer = -1, which is the second-to-last layer; a model of one layer only has its last.
        let layer = if config.num_hidden_layers > 1 { -2 } else { -1 };
        let pooling = if framed { Pooling::Cls } else { Pooling::Mean };
        let info = EncoderInfo {
            variant: vocabulary.variant().to_owned(),
            vocabulary: vocabulary.digest,
            vocabulary_size: vocabulary.size,
            context: config.max_position_embeddings,
            layers: config.num_hidden_layers,
            dim: config.hidden_size,
            widest: config.intermediate_size.max(config.hidden_size),
            default_readout: Readout { layer, pooling },
        };
        Ok(Self { model, info, framed })
    }

    /// Token states of one cell at a layer, `[tokens, hidden]`, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &[u32], layer: i32) -> Result<Vec<f32>, ModelError> {
        let (states, _) = self.model.states(&[cell.to_vec()], self.depth(layer)?)?;
        Ok(states.read()?)
    }

    /// One vector a cell, `[cells, dim]`, on the device: what a head is trained on.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn pooled(&self, cells: &[Vec<u32>], readout: Readout) -> Result<Tensor, ModelError> {
        self.check(readout)?;
        // <cls> and <eos> are no genes: the authors leave them out of the mean.
        let frame = usize::from(self.framed);
        if cells.iter().any(|cell| cell.len() <= 2 * frame) {
            return Err(ModelError::Tokens("a cell has no gene".to_owned()));
        }
        let (states, segments) = self.model.states(cells, self.depth(readout.layer)?)?;
        let pool = match readout.pooling {
            Pooling::Mean => Pool::Mean { skip_first: frame, skip_last: frame },
            Pooling::Cls => Pool::First,
        };
        Ok(ops::pool(&states, &segments, pool)?)
    }

    /// How many layers must run for the states that `layer` names.
    fn depth(&self, layer: i32) -> Result<usize, ModelError> {
        let deepest = i64::try_from(self.info.layers).unwrap_or(i64::MAX) + 1;
        let depth = deepest + i64::from(layer);
        usize::try_from(depth).ok().filter(|_| layer < 0).ok_or_else(|| {
            ModelError::Readout(format!(
                "layer {layer} does not exist: this model has {} layers, which are called -1 (the last) to -{}, and \
                 -{deepest} is the embedding below them",
                self.info.layers, self.info.layers
            ))
        })
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn check(&self, readout: Readout) -> Result<(), ModelError> {
        self.depth(readout.layer)?;
        if readout.pooling == Pooling::Cls && !self.framed {
            let message = "pooling `cls` needs a <cls> token, which Geneformer V1 does not have; use `mean`";
            return Err(ModelError::Readout(message.to_owned()));
        }
        Ok(())
    }

    fn embed(&self, cells: &[Vec<u32>], readout: Readout) -> Result<Vec<f32>, ModelError> {
        Ok(self.pooled(cells, readout)?.read()?)
    }
}
