//! One layer of MoLFormer: linear attention over rectified random features, and a feed-forward part, each followed by a
//! normalisation of the sum with its input.

use celldag_shaders::ops::{self, Activation, Denominator, Rotary};
use celldag_shaders::{Ids, Result, Segments, Tensor, segment};

use super::config::Config;
use crate::blocks::{DRAWN, LayerNorm, Linear};
use crate::error::ModelError;
use crate::params::Params;

/// A layer with the tensor names of the hub.
#[derive(Clone)]
pub(super) struct Layer {
    heads: usize,
    denominator: Denominator,
    activation: Activation,
    query: Linear,
    key: Linear,
    value: Linear,
    /// `[head width, features]`, for all heads: drawn once in training, and part of the weights since.
    omega: Tensor,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// Where the rows of a batch are: in which drug, and at which position of it.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) drugs: Segments,
    pub(super) positions: Ids,
    pub(super) turns: Rotary,
}

impl Layer {
    /// Takes the seventeen tensors of a layer.
    pub(super) fn load(params: &Params<'_>, config: &Config) -> std::result::Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden, config.intermediate);
        let attention = params.at("attention");
        let own = attention.at("self");
        let projection = |name: &str| Linear::load(&own.at(name), hidden, hidden);
        Ok(Self {
            heads: config.heads,
            denominator: config.denominator,
            activation: config.activation,
            query: projection("query")?,
            key: projection("key")?,
            value: projection("value")?,
            omega: own.at("feature_map").constant(
                "weight",
                &[config.head_width(), config.features],
                DRAWN,
            )?,
            attention_output: Linear::load(&attention.at("output").at("dense"), hidden, hidden)?,
            attention_norm: LayerNorm::load(&attention.at("output").at("LayerNorm"), hidden, config.eps)?,
            intermediate: Linear::load(&params.at("intermediate").at("dense"), hidden, inner)?,
            output: Linear::load(&params.at("output").at("dense"), inner, hidden)?,
            output_norm: LayerNorm::load(&params.at("output").at("LayerNorm"), hidden, config.eps)?,
        })
    }

    /// Token states `[tokens, hidden]` to the next layer's. A segment of the tape.
    pub(super) fn forward(&self, x: &Tensor, places: &Places) -> Result<Tensor> {
        let (layer, places) = (self.clone(), places.clone());
        segment([x], move |[x]| layer.states(x, &places))
    }

    fn states(&self, x: &Tensor, places: &Places) -> Result<Tensor> {
        let turned = |part: &Linear| {
            ops::rotary(&part.forward(x, Activation::None)?, &places.turns, &places.positions)
        };
        let (q, k) = (turned(&self.query)?, turned(&self.key)?);
        let v = self.value.forward(x, Activation::None)?;
        let attended =
            ops::feature_attention(&q, &k, &v, &self.omega, &places.drugs, self.heads, self.denominator)?;
        let attended = self.attention_output.forward(&attended, Activation::None)?;
        let x = self.attention_norm.forward(&attended, Some(x))?;
        let inner = self.intermediate.forward(&x, self.activation)?;
        let inner = self.output.forward(&inner, Activation::None)?;
        self.output_norm.forward(&inner, Some(&x))
    }
}
