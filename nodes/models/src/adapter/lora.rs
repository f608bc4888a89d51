//! What an adapter adds to one linear layer.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor};

use super::{InputDropout, Slot};

/// What is added to one linear layer: `scale · (x Aᵀ) Bᵀ`.
#[derive(Clone, Debug)]
pub struct Lora {
    /// A, `[rank, inputs]` (`lora_A.weight`).
    pub a: Slot,
    /// B, `[outputs, rank]` (`lora_B.weight`).
    pub b: Slot,
    /// alpha / rank.
    pub scale: f32,
    dropout: Option<InputDropout>,
}

impl Lora {
    /// The term `scale · (x Aᵀ) Bᵀ`, without dropout.
    #[must_use]
    pub fn new(a: Slot, b: Slot, scale: f32) -> Self {
        Self { a, b, scale, dropout: None }
    }

    /// The same, with noise on its input while a training step sets it.
    #[must_use]
    pub fn with_dropout(self, dropout: InputDropout) -> Self {
        Self { dropout: Some(dropout), ..self }
    }

    /// The term for the rows `x` `[n, inputs]`, `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let noisy = self.dropout.as_ref().map(|dropout| dropout.apply(x)).transpose()?.flatten();
        let low = ops::linear(noisy.as_ref().unwrap_or(x), &self.a.get(), None, Activation::None)?;
        // The factor goes over the narrow side.
        ops::linear(&ops::scale(&low, self.scale)?, &self.b.get(), None, Activation::None)
    }
}
