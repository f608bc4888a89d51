//! Squared error.

use super::Loss;
use super::value::{Targets, on_cpu, on_gpu};
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Squared error of `predictions` `[rows, columns]` against `targets` of the same shape, mean over all values, as torch's
/// `mse_loss`.
///
/// # Errors
/// Shapes or devices do not fit, or there are no values; the device's errors.
pub fn mean_squared_error(predictions: &Tensor, targets: &Tensor) -> Result<Loss> {
    const OP: &str = "mean_squared_error";
    let (_, columns) = predictions.matrix(OP, "predictions")?;
    targets.expect_like(OP, "targets", predictions)?;
    predictions.device().expect_home(OP, &[targets])?;
    if predictions.is_empty() {
        return Err(Error::shape(OP, "there is nothing to average over"));
    }
    match predictions.device().backend() {
        Backend::Cpu(cpu) => {
            let (x, y) = (predictions.host(OP)?, targets.host(OP)?);
            Ok(on_cpu(cpu, predictions, |loss, gradient| {
                cpu::loss::mean_squared_error(cpu, x, y, columns, loss, gradient);
            }))
        }
        Backend::Gpu(gpu) => {
            let share = 2.0 / predictions.len() as f32;
            let kernel = Kernel::new(OP, &[]);
            on_gpu(gpu, OP, &kernel, predictions, Targets::Values(targets), None, &[share.to_bits()])
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("mean_squared_error", &[])]
}
