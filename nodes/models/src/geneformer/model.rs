//! The encoder: embeddings of genes and ranks, then BERT layers. One definition for every backend.

use celldag_shaders::ops;
use celldag_shaders::{Ids, Segments, Tensor};

use super::config::Config;
use crate::blocks::{BertLayer, LayerNorm};
use crate::error::ModelError;
use crate::params::Params;

/// A Geneformer without its heads.
#[derive(Debug)]
pub struct BertEncoder {
    words: Tensor,
    /// Position embeddings with the embedding of token type 0 added, the only type that occurs.
    positions: Tensor,
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
    pub fn load(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let (hidden, context) = (config.hidden_size, config.max_position_embeddings);
        let embeddings = params.at("embeddings");
        let types =
            embeddings.at("token_type_embeddings").values("weight", &[config.type_vocab_size, hidden])?;
        let mut positions = embeddings.at("position_embeddings").values("weight", &[context, hidden])?;
        for row in positions.chunks_exact_mut(hidden) {
            for (value, of_type) in row.iter_mut().zip(&types) {
                *value += of_type;
            }
        }
        let layer =
            |index| BertLayer::load(&params.at("encoder").at("layer").at(index), config.layer_shape());
        Ok(Self {
            words: embeddings.at("word_embeddings").tensor("weight", &[config.vocab_size, hidden])?,
            positions: params.device().upload(&[context, hidden], &positions)?,
            norm: LayerNorm::load(&embeddings.at("LayerNorm"), hidden, config.layer_norm_eps)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            context,
            vocabulary: config.vocab_size,
        })
    }

    /// Token states after `layers` layers (0: the embedding output), `[tokens, hidden]`, with the cells' layout.
    /// Later layers are not computed.
    ///
    /// # Errors
    /// When a token is unknown or a cell longer than the context, or the device fails.
    pub fn states(&self, cells: &[Vec<u32>], layers: usize) -> Result<(Tensor, Segments), ModelError> {
        let device = self.words.device();
        if let Some(long) = cells.iter().map(Vec::len).find(|&length| length > self.context) {
            let message = format!("a cell has {long} tokens, the model reads {}", self.context);
            return Err(ModelError::Tokens(message));
        }
        let tokens: Vec<u32> = cells.concat();
        if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= self.vocabulary) {
            let message = format!("the token {unknown} is beyond the vocabulary of {}", self.vocabulary);
            return Err(ModelError::Tokens(message));
        }
        let ranks: Vec<u32> = cells.iter().flat_map(|cell| (0_u32..).take(cell.len())).collect();
        let lengths: Vec<usize> = cells.iter().map(Vec::len).collect();
        let segments = Segments::new(device, &lengths)?;
        let words = ops::embed(&self.words, &Ids::new(device, &tokens)?)?;
        let positions = ops::embed(&self.positions, &Ids::new(device, &ranks)?)?;
        let mut x = self.norm.forward(&words, Some(&positions))?;
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, &segments)?;
        }
        Ok((x, segments))
    }
}
