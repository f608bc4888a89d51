//! The encoder: embeddings of tokens, then layers, then one more normalisation. There is no table of positions: they turn
//! queries and keys.

use celldag_shaders::ops::{self, Rotary, row_positions};
use celldag_shaders::{Segments, Tensor};

use super::config::Config;
use super::layer::{Layer, Places};
use crate::adapter::Slot;
use crate::blocks::LayerNorm;
use crate::drug::Packed;
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// Of the rotary positions; the authors' code has no setting for it.
const BASE: f64 = 10_000.0;

/// A MoLFormer without its head.
pub(super) struct Model {
    words: Slot,
    layers: Vec<Layer>,
    norm: LayerNorm,
    turns: Rotary,
    config: Config,
}

impl Model {
    /// Takes all tensors of the encoder.
    pub(super) fn load(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let layer = |_, params: &Params<'_>| Layer::load(params, config);
        let frequencies = Rotary::frequencies(BASE, config.head_width());
        Ok(Self {
            words: params
                .at("embeddings")
                .at("word_embeddings")
                .weight("weight", &[config.vocabulary, config.hidden])?,
            layers: params.at("encoder").at("layer").layers(config.layers, layer)?,
            norm: LayerNorm::load(&params.at("LayerNorm"), config.hidden, config.eps)?,
            turns: Rotary::new(params.device(), &frequencies, config.context)?,
            config: *config,
        })
    }

    /// Token states after `layers` layers (0: the embeddings), `[tokens, hidden]`, with the drugs' layout. Later layers are
    /// not computed; the states after the last are normalised once more, as the model's own output is.
    pub(super) fn states(
        &self,
        drugs: &[CellTokens],
        layers: usize,
    ) -> Result<(Tensor, Segments), ModelError> {
        let device = self.words.device();
        let packed = Packed::new(device, drugs, self.config.context, self.config.vocabulary)?;
        let segments = packed.segments;
        let places = Places {
            positions: row_positions(&segments)?,
            drugs: segments.clone(),
            turns: self.turns.clone(),
        };
        let mut x = ops::embed(&self.words.get(), &packed.ids)?;
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, &places)?;
        }
        if layers == self.layers.len() {
            x = self.norm.forward(&x, None)?;
        }
        Ok((x, segments))
    }
}
