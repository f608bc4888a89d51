//! `Conv1D` of transformers' GPT-2: a linear layer whose weight is stored transposed, `[inputs, outputs]`.

use celldag_data::checkpoint::Stored;

use super::{Linear, PackedQkv};
use crate::adapter::Part;
use crate::error::ModelError;
use crate::params::Params;

/// Takes `weight` `[inputs, outputs]` and `bias` `[outputs]`. Adapters of such a layer have the shapes of a linear layer's
/// (peft's `fan_in_fan_out` only says how the product is added to the stored weight).
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn conv1d(params: &Params<'_>, inputs: usize, outputs: usize) -> Result<Linear, ModelError> {
    let shape = [inputs, outputs];
    let weight = turned(params.stored("weight", &shape)?, shape);
    let weight = params.held("weight", Part::turned(shape, 0..outputs), &[outputs, inputs], weight)?;
    let bias = params.tensor("bias", &[outputs])?;
    Ok(Linear::of(weight, Some(bias), params.lora(inputs, outputs)?))
}

/// Queries, keys and values in one such layer, columns q | k | v: `weight` `[width, 3 width]`, `bias` `[3 width]`.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn conv1d_qkv(params: &Params<'_>, width: usize) -> Result<PackedQkv, ModelError> {
    let shape = [width, 3 * width];
    let weight = turned(params.stored("weight", &shape)?, shape);
    let bias = ("bias", params.values("bias", &[3 * width])?);
    let lora = params.lora(width, 3 * width)?;
    PackedQkv::of_host(params, ("weight", &weight, |rows| Part::turned(shape, rows)), &bias, lora)
}

/// `[rows, columns]` as `[columns, rows]`, in the precision of the checkpoint.
fn turned(values: Stored, shape: [usize; 2]) -> Stored {
    match values {
        Stored::F32(values) => Stored::F32(transposed(&values, shape)),
        Stored::F16(bits) => Stored::F16(transposed(&bits, shape)),
        Stored::Bf16(bits) => Stored::Bf16(transposed(&bits, shape)),
        Stored::F64(values) => Stored::F64(transposed(&values, shape)),
    }
}

fn transposed<T: Copy + Default>(values: &[T], [rows, columns]: [usize; 2]) -> Vec<T> {
    let mut out = vec![T::default(); values.len()];
    for (row, line) in values.chunks_exact(columns).enumerate() {
        for (column, &value) in line.iter().enumerate() {
            out[column * rows + row] = value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_become_columns() {
        assert_eq!(
            super::transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
    }
}
