//! `torch.nn.Linear`.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor};

use crate::adapter::Lora;
use crate::error::ModelError;
use crate::params::Params;

/// `activation(x W^T + b)`, with the low-rank term of an adapter if the layer has one.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
    lora: Option<Lora>,
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
            lora: params.lora(inputs, outputs)?,
        })
    }

    /// Rows `[n, inputs]` to `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let Some(lora) = &self.lora else {
            return ops::linear(x, &self.weight, Some(&self.bias), activation);
        };
        let plain = ops::linear(x, &self.weight, Some(&self.bias), Activation::None)?;
        ops::activate(&ops::add(&plain, &lora.forward(x)?)?, activation)
    }
}
