//! Binary cross entropy.

use super::Loss;
use super::value::{Targets, on_cpu, on_gpu};
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Binary cross entropy of `logits` `[rows, columns]` against `targets` of the same shape (0 to 1), mean over all
/// values, as torch's `binary_cross_entropy_with_logits`. `pos_weight` `[columns]` multiplies the loss of positives.
///
/// # Errors
/// Shapes or devices do not fit, or there are no values; the device's errors.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor, pos_weight: Option<&Tensor>) -> Result<Loss> {
    const OP: &str = "bce_with_logits";
    let (_, columns) = logits.matrix(OP, "logits")?;
    targets.expect_like(OP, "targets", logits)?;
    logits.device().expect_home(OP, &[targets])?;
    if let Some(weight) = pos_weight {
        weight.expect_vector(OP, "pos_weight", columns)?;
        logits.device().expect_home(OP, &[weight])?;
    }
    if logits.is_empty() {
        return Err(Error::shape(OP, "there is nothing to average over"));
    }
    match logits.device().backend() {
        Backend::Cpu(cpu) => {
            let (x, y) = (logits.host(OP)?, targets.host(OP)?);
            let weight = pos_weight.map(|weight| weight.host(OP)).transpose()?;
            Ok(on_cpu(cpu, logits, |loss, gradient| {
                cpu::loss::bce_with_logits(cpu, x, y, weight, columns, loss, gradient);
            }))
        }
        Backend::Gpu(gpu) => {
            let share = 1.0 / logits.len() as f32;
            let kernel = kernel(pos_weight.is_some());
            on_gpu(gpu, OP, &kernel, logits, Targets::Values(targets), pos_weight, &[share.to_bits()])
        }
    }
}

fn kernel(weighted: bool) -> Kernel {
    Kernel::new("bce_with_logits", &[("WEIGHTED", u32::from(weighted))])
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    [false, true].map(kernel).to_vec()
}
