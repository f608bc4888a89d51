//! Root mean square normalisation (Zhang and Sennrich 2019), with an optional residual in front.

use super::norm::{Norm, Operands};
use crate::error::Result;
use crate::tensor::Tensor;

/// Each row of `x` (+ `residual`) `[rows, columns]` divided by √(mean of its squares + `eps`), then multiplied by
/// `weight` `[columns]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn rms_norm(x: &Tensor, residual: Option<&Tensor>, weight: &Tensor, eps: f32) -> Result<Tensor> {
    let norm = Norm { op: "rms_norm", parts: 1, center: false, eps };
    norm.apply(&Operands { x, residual, gamma: weight, beta: None })
}
