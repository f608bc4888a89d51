//! One layer of `torch.nn.TransformerEncoder` (Vaswani et al. 2017, section 3.1, normalisation after each sum), as scGPT,
//! scFoundation and UCE use it.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Segments, Tensor, segment};

use super::{LayerNorm, Linear, PackedQkv};
use crate::error::ModelError;
use crate::params::Params;

/// Sizes of a layer.
#[derive(Clone, Copy, Debug)]
pub struct TransformerShape {
    /// Width of the token states.
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub feedforward: usize,
    /// Activation of the feed-forward part.
    pub activation: Activation,
    /// Of both normalisations.
    pub eps: f32,
}

/// Names of the packed projection of queries, keys and values below `self_attn`.
#[derive(Clone, Copy, Debug)]
pub struct PackedNames {
    /// `in_proj_weight` in torch, `Wqkv.weight` in flash-attn.
    pub weight: &'static str,
    /// `in_proj_bias` in torch, `Wqkv.bias` in flash-attn.
    pub bias: &'static str,
    /// The layer that adapters of this projection name: empty in torch, `Wqkv` in flash-attn.
    pub layer: &'static str,
}

impl PackedNames {
    /// Those of flash-attn.
    pub const FLASH: Self = Self { weight: "Wqkv.weight", bias: "Wqkv.bias", layer: "Wqkv" };
    /// Those of `torch.nn.MultiheadAttention`.
    pub const TORCH: Self = Self { weight: "in_proj_weight", bias: "in_proj_bias", layer: "" };
}

/// A layer with the tensor names of `torch.nn.TransformerEncoderLayer`.
#[derive(Clone, Debug)]
pub struct TransformerLayer {
    heads: usize,
    activation: Activation,
    qkv: PackedQkv,
    out_proj: Linear,
    norm1: LayerNorm,
    linear1: Linear,
    linear2: Linear,
    norm2: LayerNorm,
}

impl TransformerLayer {
    /// Takes the twelve tensors of a layer; the attention's are below `attention` (`self_attn`).
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(
        params: &Params<'_>,
        attention: &Params<'_>,
        names: PackedNames,
        shape: TransformerShape,
    ) -> Result<Self, ModelError> {
        let TransformerShape { hidden, heads, feedforward, activation, eps } = shape;
        let adapted = if names.layer.is_empty() { attention.clone() } else { attention.at(names.layer) };
        Ok(Self {
            heads,
            activation,
            qkv: PackedQkv::load(attention, (names.weight, names.bias), &adapted, hidden)?,
            out_proj: Linear::load(&attention.at("out_proj"), hidden, hidden)?,
            norm1: LayerNorm::load(&params.at("norm1"), hidden, eps)?,
            linear1: Linear::load(&params.at("linear1"), hidden, feedforward)?,
            linear2: Linear::load(&params.at("linear2"), feedforward, hidden)?,
            norm2: LayerNorm::load(&params.at("norm2"), hidden, eps)?,
        })
    }

    /// Token states `[tokens, hidden]` of packed sequences to the next layer's. A segment of the tape: a training that
    /// is short of memory keeps only `x`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor, cells: &Segments) -> Result<Tensor> {
        let (layer, cells) = (self.clone(), cells.clone());
        segment([x], move |[x]| layer.states(x, &cells))
    }

    fn states(&self, x: &Tensor, cells: &Segments) -> Result<Tensor> {
        let [q, k, v] = self.qkv.forward(x)?;
        let attended = ops::attention(&q, &k, &v, cells, self.heads, false)?;
        let attended = self.out_proj.forward(&attended, Activation::None)?;
        let x = self.norm1.forward(&attended, Some(x))?;
        let inner = self.linear1.forward(&x, self.activation)?;
        let inner = self.linear2.forward(&inner, Activation::None)?;
        self.norm2.forward(&inner, Some(&x))
    }
}
