//! Backward of the rectifier, for networks that are written out by hand.

use super::{Activation, activate_backward};
use crate::error::Result;
use crate::tensor::Tensor;

/// The gradient at the rectifier's input: `gradient` where `output` (or, equally, the input) is above 0, else 0.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn relu_backward(gradient: &Tensor, output: &Tensor) -> Result<Tensor> {
    activate_backward(gradient, output, Activation::Relu)
}
