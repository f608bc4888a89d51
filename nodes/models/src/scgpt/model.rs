//! The encoder: gene and value embeddings added up, then transformer layers. One definition for every backend.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Ids, Segments, Tensor};

use super::config::{Config, EPS};
use crate::adapter::Slot;
use crate::blocks::{LayerNorm, Linear, PackedNames, TransformerLayer};
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// Larger values are embedded as this one.
const LARGEST_VALUE: f32 = 512.0;

/// A scGPT without its decoders.
#[derive(Debug)]
pub struct TokenEncoder {
    genes: Slot,
    gene_norm: LayerNorm,
    value1: Linear,
    value2: Linear,
    value_norm: LayerNorm,
    layers: Vec<TransformerLayer>,
    vocabulary: usize,
}

impl TokenEncoder {
    /// Takes all tensors that embeddings need. The packed projections of attention are called as in flash-attn (published
    /// files) or as in torch.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, or the device fails.
    pub fn load(params: &Params<'_>, config: &Config, vocabulary: usize) -> Result<Self, ModelError> {
        let width = config.embsize;
        let values = params.at("value_encoder");
        let layer = |_, layer: &Params<'_>| {
            let attention = layer.at("self_attn");
            let torch = attention.contains(PackedNames::TORCH.weight);
            let names = if torch { PackedNames::TORCH } else { PackedNames::FLASH };
            TransformerLayer::load(layer, &attention, names, config.layer_shape())
        };
        Ok(Self {
            genes: params.at("encoder").at("embedding").weight("weight", &[vocabulary, width])?,
            gene_norm: LayerNorm::load(&params.at("encoder").at("enc_norm"), width, EPS)?,
            value1: Linear::load(&values.at("linear1"), 1, width)?,
            value2: Linear::load(&values.at("linear2"), width, width)?,
            value_norm: LayerNorm::load(&values.at("norm"), width, EPS)?,
            layers: params.at("transformer_encoder").at("layers").layers(config.nlayers, layer)?,
            vocabulary,
        })
    }

    /// Token states after `layers` layers (0: the sum of the embeddings), `[tokens, width]`, with the cells' layout. Later
    /// layers are not computed.
    ///
    /// # Errors
    /// When a token is unknown or has no value, or the device fails.
    pub fn states(&self, cells: &[CellTokens], layers: usize) -> Result<(Tensor, Segments), ModelError> {
        let device = self.genes.device();
        let ids: Vec<u32> = cells.iter().flat_map(|cell| cell.ids.iter().copied()).collect();
        if let Some(unknown) = ids.iter().find(|&&id| id as usize >= self.vocabulary) {
            let message = format!("the token {unknown} is beyond the vocabulary of {}", self.vocabulary);
            return Err(ModelError::Tokens(message));
        }
        if cells.iter().any(|cell| cell.values.len() != cell.ids.len()) {
            return Err(ModelError::Tokens("a token has no value".to_owned()));
        }
        let values: Vec<f32> =
            cells.iter().flat_map(|cell| cell.values.iter().map(|value| value.min(LARGEST_VALUE))).collect();
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let segments = Segments::new(device, &lengths)?;
        let genes =
            self.gene_norm.forward(&ops::embed(&self.genes.get(), &Ids::new(device, &ids)?)?, None)?;
        let values = self.value1.forward(&device.upload(&[values.len(), 1], &values)?, Activation::Relu)?;
        let values = self.value_norm.forward(&self.value2.forward(&values, Activation::None)?, None)?;
        let mut x = ops::add(&genes, &values)?;
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, &segments)?;
        }
        Ok((x, segments))
    }
}
