//! `torch.nn.Linear`, and several of them in one weight.

use std::ops::Range;

use celldag_data::checkpoint::Stored;
use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor};

use crate::adapter::{Lora, Part, Slot};
use crate::error::ModelError;
use crate::params::Params;

/// `activation(x W^T + b)`, with the low-rank term of an adapter if the layer has one.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Slot,
    bias: Option<Slot>,
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
    pub fn of(weight: Slot, bias: Option<Slot>, lora: Option<Lora>) -> Self {
        Self { weight, bias, lora }
    }

    /// Rows `[n, inputs]` to `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let (weight, bias) = (self.weight.get(), self.bias.as_ref().map(Slot::get));
        let Some(lora) = &self.lora else {
            return ops::linear(x, &weight, bias.as_ref(), activation);
        };
        let plain = ops::linear(x, &weight, bias.as_ref(), Activation::None)?;
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
        let shape = [3 * width, width];
        let values = params.stored(weight, &shape)?;
        let bias = (bias, params.values(bias, &[3 * width])?);
        let lora = layer.lora(width, 3 * width)?;
        Self::of_host(params, (weight, &values, |rows| Part::rows(&shape, rows)), &bias, lora)
    }

    /// Of host values: the tensor `weight`, `[3 width, inputs]` row-major in the precision of the checkpoint, with what part of
    /// it some rows are; and the tensor `bias`, `[3 width]`.
    pub(super) fn of_host(
        params: &Params<'_>,
        (weight, values, part): (&str, &Stored, impl Fn(Range<usize>) -> Part),
        (bias, shifts): &(&str, Vec<f32>),
        lora: Option<Lora>,
    ) -> Result<Self, ModelError> {
        let width = shifts.len() / 3;
        let inputs = values.len() / shifts.len().max(1);
        let one = |index: usize| -> Result<Linear, ModelError> {
            let rows = index * width..(index + 1) * width;
            let own = part_of(values, rows.start * inputs..rows.end * inputs);
            let weight = params.held(weight, part(rows.clone()), &[width, inputs], own)?;
            let own = Stored::F32(shifts[rows.clone()].to_vec());
            let bias = params.held(bias, Part::rows(&[shifts.len()], rows), &[width], own)?;
            Ok(Linear::of(weight, Some(bias), None))
        };
        Ok(Self { parts: [one(0)?, one(1)?, one(2)?], lora, width })
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
