//! One layer of BERT (Devlin et al. 2019): self-attention and a feed-forward part, each followed by a normalisation of
//! the sum with its input.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Segments, Tensor, segment};

use super::{LayerNorm, Linear};
use crate::error::ModelError;
use crate::params::Params;

/// Sizes of a BERT layer.
#[derive(Clone, Copy, Debug)]
pub struct BertShape {
    /// Width of the token states.
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub intermediate: usize,
    /// Activation of the feed-forward part.
    pub activation: Activation,
    /// Of both normalisations.
    pub eps: f32,
}

/// A BERT layer with the tensor names of transformers' `BertLayer`.
#[derive(Clone, Debug)]
pub struct BertLayer {
    heads: usize,
    activation: Activation,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

impl BertLayer {
    /// Takes the sixteen tensors of a layer.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>, shape: BertShape) -> Result<Self, ModelError> {
        let BertShape { hidden, heads, intermediate, activation, eps } = shape;
        let attention = params.at("attention");
        let projection = |name| Linear::load(&attention.at("self").at(name), hidden, hidden);
        Ok(Self {
            heads,
            activation,
            query: projection("query")?,
            key: projection("key")?,
            value: projection("value")?,
            attention_output: Linear::load(&attention.at("output").at("dense"), hidden, hidden)?,
            attention_norm: LayerNorm::load(&attention.at("output").at("LayerNorm"), hidden, eps)?,
            intermediate: Linear::load(&params.at("intermediate").at("dense"), hidden, intermediate)?,
            output: Linear::load(&params.at("output").at("dense"), intermediate, hidden)?,
            output_norm: LayerNorm::load(&params.at("output").at("LayerNorm"), hidden, eps)?,
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
        let q = self.query.forward(x, Activation::None)?;
        let k = self.key.forward(x, Activation::None)?;
        let v = self.value.forward(x, Activation::None)?;
        let attended = ops::attention(&q, &k, &v, cells, self.heads, false)?;
        let attended = self.attention_output.forward(&attended, Activation::None)?;
        let x = self.attention_norm.forward(&attended, Some(x))?;
        let inner = self.intermediate.forward(&x, self.activation)?;
        let inner = self.output.forward(&inner, Activation::None)?;
        self.output_norm.forward(&inner, Some(&x))
    }
}
