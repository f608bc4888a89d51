//! A BERT with the head that names hidden tokens: transformers' `BertForMaskedLM`.

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Device, Ids, Tensor};

use super::masking::MaskedCell;
use crate::adapter::{Adapters, Slot};
use crate::blocks::{BERT, BertConfig, BertEncoder, LayerNorm, Linear};
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// Parts of published files that this model does not need: the tied tensors, which are those of the table of tokens and of the
/// head's bias; heads of other tasks; and a buffer of 0, 1, 2, ...
const UNREAD: [&str; 5] = [
    "cls.predictions.decoder.",
    "cls.seq_relationship.",
    "bert.pooler.",
    "classifier.",
    "bert.embeddings.position_ids",
];

/// An encoder and its head for hidden tokens. The last layer of the head is the table of tokens.
#[derive(Debug)]
pub struct MaskedLm {
    encoder: BertEncoder,
    layers: usize,
    activation: Activation,
    transform: Linear,
    norm: LayerNorm,
    bias: Slot,
    parameters: usize,
}

impl MaskedLm {
    /// Takes all tensors of a `BertForMaskedLM` under their published names; those that `adapters` trains become slots there.
    ///
    /// # Errors
    /// When tensors are missing, misshapen or left over, all of which are named; the device's errors.
    pub fn load(
        weights: &Weights,
        config: &BertConfig,
        device: &Device,
        adapters: &Adapters,
    ) -> Result<Self, ModelError> {
        let sizes = config.sizes()?;
        let shape = sizes.layer;
        let params = Params::new(weights, device).adapted(adapters);
        let head = params.at("cls").at("predictions");
        let transform = head.at("transform");
        let built = weights.load(&UNREAD, |_| -> Result<Self, ModelError> {
            Ok(Self {
                encoder: BertEncoder::load(&params.at(BERT), &sizes)?,
                layers: sizes.layers,
                activation: shape.activation,
                transform: Linear::load(&transform.at("dense"), shape.hidden, shape.hidden)?,
                norm: LayerNorm::load(&transform.at("LayerNorm"), shape.hidden, shape.eps)?,
                bias: head.tensor("bias", &[sizes.vocabulary])?,
                parameters: 0,
            })
        })?;
        adapters.finish()?;
        Ok(Self { parameters: params.taken(), ..built })
    }

    /// Number of weights; those of the tied last layer count once.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Logits over the vocabulary of every hidden token of some cells, `[hidden tokens, vocabulary]`, in the order of the cells.
    ///
    /// # Errors
    /// When a token is unknown, a cell longer than the context, or a place beyond its cell; the device's errors.
    pub fn logits(&self, cells: &[MaskedCell]) -> Result<Tensor, ModelError> {
        let tokens: Vec<CellTokens> = cells.iter().map(|cell| cell.tokens.clone()).collect();
        let mut rows = Vec::new();
        let mut first = 0;
        for cell in cells {
            let length = cell.tokens.len() as u32;
            if let Some(place) = cell.places.iter().find(|&&place| place >= length) {
                return Err(ModelError::Tokens(format!(
                    "place {place} is hidden in a cell of {length} tokens"
                )));
            }
            rows.extend(cell.places.iter().map(|place| first + place));
            first += length;
        }
        let (states, _) = self.encoder.states(&tokens, self.layers)?;
        let hidden = ops::embed(&states, &Ids::new(self.encoder.device(), &rows)?)?;
        let hidden = self.norm.forward(&self.transform.forward(&hidden, self.activation)?, None)?;
        let (words, bias) = (self.encoder.words().get(), self.bias.get());
        Ok(ops::linear(&hidden, &words, Some(&bias), Activation::None)?)
    }
}
