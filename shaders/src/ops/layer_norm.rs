//! Layer normalisation (Ba, Kiros and Hinton 2016), with an optional residual in front, and the same over groups of
//! columns.

use super::norm::{Norm, Operands};
use crate::error::Result;
use crate::tensor::Tensor;

/// Each row of `x` (+ `residual`) `[rows, columns]` shifted and scaled to mean 0 and (biased) variance 1, then
/// multiplied by `gamma` `[columns]` and shifted by `beta` `[columns]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn layer_norm(
    x: &Tensor,
    residual: Option<&Tensor>,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f32,
) -> Result<Tensor> {
    let norm = Norm { op: "layer_norm", parts: 1, center: true, eps };
    norm.apply(&Operands { x, residual, gamma, beta: Some(beta) })
}

/// Group normalisation of rows (Wu and He 2018): as [`layer_norm`], but each of `groups` equal runs of columns of a row
/// is brought to mean 0 and variance 1 on its own. torch's `GroupNorm(groups, columns)` of a `[rows, columns]` tensor.
///
/// # Errors
/// The columns do not divide into groups; shapes or devices do not fit; the device's errors.
pub fn group_norm(x: &Tensor, groups: usize, gamma: &Tensor, beta: &Tensor, eps: f32) -> Result<Tensor> {
    let norm = Norm { op: "group_norm", parts: groups, center: true, eps };
    norm.apply(&Operands { x, residual: None, gamma, beta: Some(beta) })
}
