//! `torch.nn.LayerNorm` over the last axis.

use celldag_shaders::ops;
use celldag_shaders::{Result, Tensor};

use crate::adapter::Slot;
use crate::error::ModelError;
use crate::params::Params;

/// `(x - mean) / sqrt(variance + eps) * weight + bias` for every row.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Slot,
    bias: Slot,
    eps: f32,
}

impl LayerNorm {
    /// Takes `weight` and `bias` `[width]`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>, width: usize, eps: f32) -> Result<Self, ModelError> {
        Ok(Self { weight: params.tensor("weight", &[width])?, bias: params.tensor("bias", &[width])?, eps })
    }

    /// Normalises `x`, or `x + residual`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        ops::layer_norm(x, residual, &self.weight.get(), &self.bias.get(), self.eps)
    }
}
