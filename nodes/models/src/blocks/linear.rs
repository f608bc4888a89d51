//! `torch.nn.Linear`, and several of them in one weight.

use std::ops::Range;

use celldag_data::checkpoint::Stored;
use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor};

use crate::adapter::Lora;
use crate::error::ModelError;
use crate::params::Params;

/// `activation(x W^T + b)`, with the low-rank term of an adapter if the layer has one.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

impl Linear {
    /// Takes `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let bias = params.tensor("bias", &[outputs])?;
        Ok(Self { bias: Some(bias), ..Self::without_bias(params, inputs, outputs)? })
    }

    /// Takes `weight` `[outputs, inputs]`.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub fn without_bias(params: &Params<'_>, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        Ok(Self {
            weight: params.weight("weight", &[outputs, inputs])?,
            bias: None,
            lora: params.lora(inputs, outputs)?,
        })
    }

    /// Of tensors that are on the device: `weight` `[outputs, inputs]`, `bias` `[outputs]`.
    #[must_use]
    pub fn of(weight: Tensor, bias: Option<Tensor>, lora: Option<Lora>) -> Self {
        Self { weight, bias, lora }
    }

    /// Rows `[n, inputs]` to `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let Some(lora) = &self.lora else {
            return ops::linear(x, &self.weight, self.bias.as_ref(), activation);
        };
        let plain = ops::linear(x, &self.weight, self.bias.as_ref(), Activation::None)?;
        ops::activate(&ops::add(&plain, &lora.forward(x)?)?, activation)
    }
}

/// Query, key and value projections that a checkpoint keeps in one weight `[3 width, inputs]`, rows q | k | v. An adapter of
/// such a layer has one A for all three and a B of `3 width` rows.
#[derive(Clone, Debug)]
pub struct PackedQkv {
    parts: [Linear; 3],
    lora: Option<Lora>,
    width: usize,
}

impl PackedQkv {
    /// Of host values: `weight` `[3 width, inputs]` row-major in the precision of the checkpoint, `bias` `[3 width]`.
    ///
    /// # Errors
    /// What the device reports.
    pub(crate) fn new(
        params: &Params<'_>,
        (weight, bias): (&Stored, &[f32]),
        width: usize,
        lora: Option<Lora>,
    ) -> Result<Self, ModelError> {
        let inputs = weight.len() / (3 * width);
        let part = |index: usize| -> Result<Linear, ModelError> {
            let rows = index * width..(index + 1) * width;
            let values = part_of(weight, rows.start * inputs..rows.end * inputs);
            let weight = params.upload(&[width, inputs], values)?;
            let bias = params.device().upload(&[width], &bias[rows])?;
            Ok(Linear::of(weight, Some(bias), None))
        };
        Ok(Self { parts: [part(0)?, part(1)?, part(2)?], lora, width })
    }

    /// Takes tensors of these names `[3 width, width]` and `[3 width]`; `layer` is what adapters call the layer.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn load(
        params: &Params<'_>,
        (weight, bias): (&str, &str),
        layer: &Params<'_>,
        width: usize,
    ) -> Result<Self, ModelError> {
        let weight = params.stored(weight, &[3 * width, width])?;
        let bias = params.values(bias, &[3 * width])?;
        Self::new(params, (&weight, &bias), width, layer.lora(width, 3 * width)?)
    }

    /// Rows `[n, inputs]` to queries, keys and values, each `[n, width]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor) -> Result<[Tensor; 3]> {
        let [q, k, v] = &self.parts;
        let plain = [
            q.forward(x, Activation::None)?,
            k.forward(x, Activation::None)?,
            v.forward(x, Activation::None)?,
        ];
        let Some(lora) = &self.lora else { return Ok(plain) };
        let term = lora.forward(x)?;
        let [q, k, v] = plain;
        let add = |part: usize, plain: &Tensor| {
            ops::add(plain, &ops::slice_columns(&term, part * self.width..(part + 1) * self.width)?)
        };
        Ok([add(0, &q)?, add(1, &k)?, add(2, &v)?])
    }
}

fn part_of(values: &Stored, range: Range<usize>) -> Stored {
    match values {
        Stored::F32(values) => Stored::F32(values[range].to_vec()),
        Stored::F16(bits) => Stored::F16(bits[range].to_vec()),
        Stored::Bf16(bits) => Stored::Bf16(bits[range].to_vec()),
        Stored::F64(values) => Stored::F64(values[range].to_vec()),
    }
}
