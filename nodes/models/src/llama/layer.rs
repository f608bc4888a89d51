//! One layer of a Llama: causal attention with shared keys and a gated feed-forward part, each behind a normalisation by the
//! root of the mean square and added to its input.

use celldag_shaders::ops::{self, Activation, Attention, Rotary};
use celldag_shaders::{Ids, Result, Segments, Tensor, segment};

use super::config::Config;
use crate::adapter::Slot;
use crate::blocks::Linear;
use crate::error::ModelError;
use crate::params::Params;

/// x / sqrt(mean(x²) + eps) · weight (Zhang and Sennrich 2019, arXiv 1910.07467).
#[derive(Clone, Debug)]
pub(super) struct RmsNorm {
    weight: Slot,
    eps: f32,
}

impl RmsNorm {
    pub(super) fn load(params: &Params<'_>, config: &Config) -> std::result::Result<Self, ModelError> {
        Ok(Self { weight: params.tensor("weight", &[config.hidden_size])?, eps: config.rms_norm_eps })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::rms_norm(x, None, &self.weight.get(), self.eps)
    }
}

/// The rows of packed cells: which belong together, and the position of each in its cell.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) segments: Segments,
    pub(super) positions: Ids,
    pub(super) rotary: Rotary,
}

/// A layer with the tensor names of transformers' `LlamaDecoderLayer`.
#[derive(Clone, Debug)]
pub(super) struct LlamaLayer {
    attention: Attention,
    activation: Activation,
    input_norm: RmsNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_norm: RmsNorm,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl LlamaLayer {
    pub(super) fn load(params: &Params<'_>, config: &Config) -> std::result::Result<Self, ModelError> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (heads, kv_heads, width) = (config.num_attention_heads, config.kv_heads(), config.head_width());
        let linear = |place: Params<'_>, bias: bool, inputs: usize, outputs: usize| {
            if bias {
                Linear::load(&place, inputs, outputs)
            } else {
                Linear::without_bias(&place, inputs, outputs)
            }
        };
        let attention = |name: &str, inputs, outputs| {
            linear(params.at("self_attn").at(name), config.attention_bias, inputs, outputs)
        };
        let mlp =
            |name: &str, inputs, outputs| linear(params.at("mlp").at(name), config.mlp_bias, inputs, outputs);
        Ok(Self {
            attention: Attention { heads, kv_heads, causal: true, scale: None },
            activation: config.activation(),
            input_norm: RmsNorm::load(&params.at("input_layernorm"), config)?,
            q_proj: attention("q_proj", hidden, heads * width)?,
            k_proj: attention("k_proj", hidden, kv_heads * width)?,
            v_proj: attention("v_proj", hidden, kv_heads * width)?,
            o_proj: attention("o_proj", heads * width, hidden)?,
            post_attention_norm: RmsNorm::load(&params.at("post_attention_layernorm"), config)?,
            gate_proj: mlp("gate_proj", hidden, inner)?,
            up_proj: mlp("up_proj", hidden, inner)?,
            down_proj: mlp("down_proj", inner, hidden)?,
        })
    }

    /// Token states `[tokens, hidden]` of packed sequences to the next layer's. A segment of the tape: a training that
    /// is short of memory keeps only `x`.
    pub(super) fn forward(&self, x: &Tensor, rows: &Rows) -> Result<Tensor> {
        let (layer, rows) = (self.clone(), rows.clone());
        segment([x], move |[x]| layer.states(x, &rows))
    }

    fn states(&self, x: &Tensor, rows: &Rows) -> Result<Tensor> {
        let normed = self.input_norm.forward(x)?;
        let turned = |projection: &Linear| {
            let states = projection.forward(&normed, Activation::None)?;
            ops::rotary(&states, &rows.rotary, &rows.positions)
        };
        let (q, k) = (turned(&self.q_proj)?, turned(&self.k_proj)?);
        let v = self.v_proj.forward(&normed, Activation::None)?;
        let attended = ops::attention_with(&q, &k, &v, &rows.segments, &self.attention)?;
        let x = ops::add(x, &self.o_proj.forward(&attended, Activation::None)?)?;
        let normed = self.post_attention_norm.forward(&x)?;
        let gate = self.gate_proj.forward(&normed, Activation::None)?;
        let up = self.up_proj.forward(&normed, Activation::None)?;
        let inner = ops::gated(&gate, &up, self.activation)?;
        ops::add(&x, &self.down_proj.forward(&inner, Activation::None)?)
    }
}
