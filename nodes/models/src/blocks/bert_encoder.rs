//! A BERT without its heads: embeddings of tokens and positions, then layers. One definition for every backend.

use celldag_shaders::ops;
use celldag_shaders::{Device, Ids, Segments, Tensor};

use super::{BertLayer, BertShape, LayerNorm, Positions};
use crate::adapter::Slot;
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// What the names of a BERT begin with in a file of one with a head.
pub(crate) const BERT: &str = "bert";
/// Parts of published files that embeddings do not need: heads of masked tokens and of classes, the pooler, and a buffer of
/// 0, 1, 2, ... that old versions of transformers wrote.
pub(crate) const BERT_UNREAD: [&str; 4] = ["cls.", "pooler.", "classifier.", "embeddings.position_ids"];

/// Sizes of a BERT.
#[derive(Clone, Copy, Debug)]
pub struct BertSizes {
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Longest sequence.
    pub context: usize,
    /// Rows of the table of token types, of which only the first is used.
    pub types: usize,
    /// Number of layers.
    pub layers: usize,
    /// Sizes of a layer.
    pub layer: BertShape,
}

/// A BERT without its heads, with the tensor names of transformers' `BertModel`.
#[derive(Debug)]
pub struct BertEncoder {
    words: Slot,
    /// With the embedding of token type 0, the only type that occurs.
    positions: Positions,
    norm: LayerNorm,
    layers: Vec<BertLayer>,
    context: usize,
    vocabulary: usize,
}

impl BertEncoder {
    /// Takes all tensors of a `BertModel` from `params`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, or the device fails.
    pub fn load(params: &Params<'_>, sizes: &BertSizes) -> Result<Self, ModelError> {
        let &BertSizes { vocabulary, context, types, layers, layer: shape } = sizes;
        let hidden = shape.hidden;
        let embeddings = params.at("embeddings");
        let (places, of_types) =
            (embeddings.at("position_embeddings"), embeddings.at("token_type_embeddings"));
        let types = [types, hidden];
        // Both are asked, so that both are known as modules that can be trained.
        let trained = [&places, &of_types].map(|table| table.trains("weight"));
        let positions = if trained.contains(&true) {
            let types = of_types.tensor("weight", &types)?;
            Positions::apart(places.tensor("weight", &[context, hidden])?, Some(types))
        } else {
            let types = of_types.values("weight", &types)?;
            Positions::summed(&places, [context, hidden], &types[..hidden])?
        };
        let layer = |_, params: &Params<'_>| BertLayer::load(params, shape);
        Ok(Self {
            words: embeddings.at("word_embeddings").weight("weight", &[vocabulary, hidden])?,
            positions,
            norm: LayerNorm::load(&embeddings.at("LayerNorm"), hidden, shape.eps)?,
            layers: params.at("encoder").at("layer").layers(layers, layer)?,
            context,
            vocabulary,
        })
    }

    /// Token states after `layers` layers (0: the embedding output), `[tokens, hidden]`, with the cells' layout.
    /// Later layers are not computed.
    ///
    /// # Errors
    /// When a token is unknown or a cell longer than the context, or the device fails.
    pub fn states(&self, cells: &[CellTokens], layers: usize) -> Result<(Tensor, Segments), ModelError> {
        let device = self.device();
        if let Some(long) = cells.iter().map(CellTokens::len).find(|&length| length > self.context) {
            let message = format!("a cell has {long} tokens, the model reads {}", self.context);
            return Err(ModelError::Tokens(message));
        }
        let tokens: Vec<u32> = cells.iter().flat_map(|cell| cell.ids.iter().copied()).collect();
        if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= self.vocabulary) {
            let message = format!("the token {unknown} is beyond the vocabulary of {}", self.vocabulary);
            return Err(ModelError::Tokens(message));
        }
        let ranks: Vec<u32> = cells.iter().flat_map(|cell| (0_u32..).take(cell.len())).collect();
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let segments = Segments::new(device, &lengths)?;
        let (tokens, ranks) = (Ids::new(device, &tokens)?, Ids::new(device, &ranks)?);
        Ok((self.states_at(&tokens, &ranks, &segments, layers)?, segments))
    }

    /// As [`BertEncoder::states`], of tokens that were packed and checked, at places of the caller's choice.
    ///
    /// # Errors
    /// What the device reports.
    pub fn states_at(
        &self,
        tokens: &Ids,
        places: &Ids,
        sequences: &Segments,
        layers: usize,
    ) -> Result<Tensor, ModelError> {
        let words = ops::embed(&self.words.get(), tokens)?;
        let positions = self.positions.at(places)?;
        let mut x = self.norm.forward(&words, Some(&positions))?;
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, sequences)?;
        }
        Ok(x)
    }

    /// The table of tokens, which heads for masked tokens share.
    pub(crate) fn words(&self) -> &Slot {
        &self.words
    }

    /// The device of the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.words.device()
    }
}
