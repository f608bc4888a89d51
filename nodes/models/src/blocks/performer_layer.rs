//! One layer of a Performer (Choromanski et al. 2021, "Rethinking Attention with Performers"), normalisation before each
//! part, as scBERT, CellLM and the decoder of scFoundation use it.

use std::path::PathBuf;

use celldag_data::checkpoint::CheckpointError;
use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor, segment};

use super::performer_rows::PerformerRows;
use super::{LayerNorm, Linear};
use crate::error::ModelError;
use crate::params::Params;
use crate::sizes::{self, Size, check};

/// Of both normalisations: torch's default, which no checkpoint records.
const EPS: f32 = 1e-5;
const PROJECTION: &str = "projection_matrix";
/// Why random features are not trained.
pub(crate) const DRAWN: &str =
    "random features are drawn, not learnt, and no parameter of the published model";

/// Sizes of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerformerShape {
    /// Width of the token states.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Columns of a head; all heads together may be wider than the token states.
    pub head_width: usize,
    /// Random features of a head.
    pub features: usize,
    /// Width of the feed-forward part.
    pub feedforward: usize,
    /// Whether the projections of queries, keys and values have biases.
    pub qkv_bias: bool,
}

impl PerformerShape {
    /// Sizes of the layer at `params`, read off its tensors: the published models record them nowhere else.
    ///
    /// # Errors
    /// When one of these tensors is missing or has another number of axes, or heads do not divide the projections.
    pub fn of(params: &Params<'_>) -> Result<Self, ModelError> {
        let attention = params.at("0.fn");
        let [features, head_width] = extents(&attention.at("fast_attention"), PROJECTION)?;
        let [inner, hidden] = extents(&attention.at("to_q"), "weight")?;
        let [feedforward, _] = extents(&params.at("1.fn.fn.w1"), "weight")?;
        if head_width == 0 || !inner.is_multiple_of(head_width) {
            // As many columns as whole heads have: the tensors of the layer then do not fit, and are listed.
            attention.at("to_q").values("weight", &[inner / head_width.max(1) * head_width, hidden])?;
            return Err(missing(&attention.at("to_q"), "weight"));
        }
        check(&[
            ("the width", hidden, Size::Width),
            ("the number of heads", inner / head_width, Size::Heads),
            ("the number of random features", features, Size::Width),
            ("the feed-forward part", feedforward, Size::Width),
        ])
        .and_then(|()| sizes::head_width(inner, inner / head_width))
        .map_err(ModelError::Shapes)?;
        let qkv_bias = attention.at("to_q").contains("bias");
        Ok(Self { hidden, heads: inner / head_width, head_width, features, feedforward, qkv_bias })
    }

    /// Floats that the widest intermediate holds for one token.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.feedforward.max(self.heads * self.head_width).max(self.hidden)
    }
}

/// The extents of a tensor of N axes. One that is not there, or has other axes, is an error, or is noted as such beside all
/// others while a checkpoint is surveyed.
pub(crate) fn extents<const N: usize>(params: &Params<'_>, name: &str) -> Result<[usize; N], ModelError> {
    if let Some(shape) = params.shape(name).and_then(|shape| shape.try_into().ok()) {
        return Ok(shape);
    }
    params.values(name, &[0; N])?;
    Err(missing(params, name))
}

fn missing(params: &Params<'_>, name: &str) -> ModelError {
    CheckpointError::MissingTensor { name: params.name(name), files: PathBuf::new(), close: None }.into()
}

/// A layer with the tensor names of the reference implementation (`performer_pytorch`): attention in `0`, feed-forward part
/// in `1`.
#[derive(Clone, Debug)]
pub struct PerformerLayer {
    heads: usize,
    attention_norm: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    /// The random features, which belong to the weights: others give other results.
    projection: Tensor,
    out: Linear,
    feedforward_norm: LayerNorm,
    w1: Linear,
    w2: Linear,
}

impl PerformerLayer {
    /// Takes the tensors of a layer.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>, shape: PerformerShape) -> Result<Self, ModelError> {
        let PerformerShape { hidden, heads, head_width, features, feedforward, qkv_bias } = shape;
        let inner = heads * head_width;
        let attention = params.at("0.fn");
        let projection = |name: &str| {
            let place = attention.at(name);
            if qkv_bias {
                Linear::load(&place, hidden, inner)
            } else {
                Linear::without_bias(&place, hidden, inner)
            }
        };
        let inner_part = params.at("1.fn.fn");
        Ok(Self {
            heads,
            attention_norm: LayerNorm::load(&params.at("0.norm"), hidden, EPS)?,
            query: projection("to_q")?,
            key: projection("to_k")?,
            value: projection("to_v")?,
            projection: attention.at("fast_attention").constant(
                PROJECTION,
                &[features, head_width],
                DRAWN,
            )?,
            out: Linear::load(&attention.at("to_out"), inner, hidden)?,
            feedforward_norm: LayerNorm::load(&params.at("1.norm"), hidden, EPS)?,
            w1: Linear::load(&inner_part.at("w1"), hidden, feedforward)?,
            w2: Linear::load(&inner_part.at("w2"), feedforward, hidden)?,
        })
    }

    /// Token states `[tokens, hidden]` of packed sequences to the next layer's. A segment of the tape: a training that
    /// is short of memory keeps only `x`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor, rows: &PerformerRows) -> Result<Tensor> {
        let (layer, rows) = (self.clone(), rows.clone());
        segment([x], move |[x]| layer.states(x, &rows))
    }

    fn states(&self, x: &Tensor, rows: &PerformerRows) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x, None)?;
        let q = self.query.forward(&normed, Activation::None)?;
        let k = self.key.forward(&normed, Activation::None)?;
        let v = self.value.forward(&normed, Activation::None)?;
        let attended = rows.attention([&q, &k, &v], &self.projection, self.heads)?;
        let x = ops::add(x, &self.out.forward(&attended, Activation::None)?)?;
        let normed = self.feedforward_norm.forward(&x, None)?;
        let inner = self.w1.forward(&normed, Activation::Gelu)?;
        ops::add(&x, &self.w2.forward(&inner, Activation::None)?)
    }
}
