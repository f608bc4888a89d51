//! `torch.nn.Linear`.

use celldag_shaders::Tensor;
use celldag_shaders::ops::{self, Activation};

use crate::error::ModelError;
use crate::params::Params;

/// `activation(x W^T + b)`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Takes `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        Ok(Self {
            weight: params.tensor("weight", &[outputs, inputs])?,
            bias: params.tensor("bias", &[outputs])?,
        })
    }

    /// Rows `[n, inputs]` to `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor, ModelError> {
        Ok(ops::linear(x, &self.weight, Some(&self.bias), activation)?)
    }
}
