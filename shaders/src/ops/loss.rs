//! Losses of classifiers: the loss of each row and, in the same pass, the gradient at the logits.

use super::cpu_tensor;
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::segments::Ids;
use crate::tensor::Tensor;

/// A loss and its gradient.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Loss of each row, `[rows]`. The loss that is minimised is their mean.
    pub rows: Tensor,
    /// Gradient of the mean loss at the logits, `[rows, columns]`.
    pub gradient: Tensor,
}

impl Loss {
    /// The mean loss, on the host (waits for the device).
    ///
    /// # Errors
    /// The device's errors.
    pub fn mean(&self) -> Result<f32> {
        let total = super::sum(&self.rows)?.read()?;
        Ok(total.first().copied().unwrap_or(0.0) / self.rows.len() as f32)
    }
}

/// Binary cross entropy of `logits` `[rows, columns]` against `targets` of the same shape (0 to 1), mean over all
/// values, as torch's `binary_cross_entropy_with_logits`. `pos_weight` `[columns]` multiplies the loss of positives.
///
/// # Errors
/// Shapes or devices do not fit, or there are no values; the device's errors.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor, pos_weight: Option<&Tensor>) -> Result<Loss> {
    const OP: &str = "bce_with_logits";
    let (rows, columns) = logits.matrix(OP, "logits")?;
    targets.expect_like(OP, "targets", logits)?;
    logits.device().expect_home(OP, &[targets])?;
    if let Some(weight) = pos_weight {
        weight.expect_vector(OP, "pos_weight", columns)?;
        logits.device().expect_home(OP, &[weight])?;
    }
    if logits.is_empty() {
        return Err(Error::shape(OP, "there is nothing to average over"));
    }
    let device = logits.device();
    match device.backend() {
        Backend::Cpu(cpu) => {
            let (x, y) = (logits.host(OP)?, targets.host(OP)?);
            let weight = pos_weight.map(|weight| weight.host(OP)).transpose()?;
            let mut gradient = cpu.buffer(logits.len());
            let slope = gradient.values_mut();
            let losses = cpu_tensor(device, cpu, &[rows], |out| {
                cpu::loss::bce_with_logits(x, y, weight, columns, out, slope);
            });
            Ok(Loss { rows: losses, gradient: Tensor::from_cpu(device, logits.shape(), gradient) })
        }
        Backend::Gpu(gpu) => {
            let (losses, gradient) = (gpu.buffer(rows)?, gpu.buffer(logits.len())?);
            let mut buffers = vec![
                logits.binding(OP)?,
                targets.binding(OP)?,
                Binding::whole(&losses),
                Binding::whole(&gradient),
            ];
            if let Some(weight) = pos_weight {
                buffers.push(weight.binding(OP)?);
            }
            gpu.launch(&Launch {
                kernel: Kernel::new(OP, &[("WEIGHTED", u32::from(pos_weight.is_some()))]),
                parameters: &[rows as u32, columns as u32],
                buffers: &buffers,
                groups: (rows as u64).div_ceil(super::ELEMENTS),
                cost: Cost { flops: 100.0 * logits.len() as f64, bytes: 16.0 * logits.len() as f64 },
            })?;
            let rows = Tensor::from_gpu(device, &[rows], losses);
            Ok(Loss { rows, gradient: Tensor::from_gpu(device, logits.shape(), gradient) })
        }
    }
}

/// Cross entropy of the softmax of `logits` `[rows, classes]` against `labels` (one class per row), mean over the
/// rows, as torch's `cross_entropy`.
///
/// # Errors
/// Shapes or devices do not fit, a label is not a class, or there are no rows; the device's errors.
pub fn softmax_cross_entropy(logits: &Tensor, labels: &Ids) -> Result<Loss> {
    const OP: &str = "softmax_cross_entropy";
    let (rows, columns) = logits.matrix(OP, "logits")?;
    if labels.len() != rows || rows == 0 {
        return Err(Error::shape(OP, format!("{} labels for {rows} rows", labels.len())));
    }
    if let Some(largest) = labels.largest().filter(|&label| label as usize >= columns) {
        return Err(Error::shape(OP, format!("label {largest} is not one of {columns} classes")));
    }
    if !logits.device().same(labels.device()) {
        return Err(Error::MixedDevices { op: OP });
    }
    let device = logits.device();
    match device.backend() {
        Backend::Cpu(cpu) => {
            let x = logits.host(OP)?;
            let mut gradient = cpu.buffer(logits.len());
            let slope = gradient.values_mut();
            let losses = cpu_tensor(device, cpu, &[rows], |out| {
                cpu::loss::softmax_cross_entropy(x, labels.values(), columns, out, slope);
            });
            Ok(Loss { rows: losses, gradient: Tensor::from_cpu(device, logits.shape(), gradient) })
        }
        Backend::Gpu(gpu) => {
            let (losses, gradient) = (gpu.buffer(rows)?, gpu.buffer(logits.len())?);
            let label_buffer = labels.binding(OP)?;
            gpu.launch(&Launch {
                kernel: Kernel::new(OP, &[]),
                parameters: &[rows as u32, columns as u32],
                buffers: &[
                    logits.binding(OP)?,
                    label_buffer,
                    Binding::whole(&losses),
                    Binding::whole(&gradient),
                ],
                groups: (rows as u64).div_ceil(super::ELEMENTS),
                cost: Cost { flops: 100.0 * logits.len() as f64, bytes: 16.0 * logits.len() as f64 },
            })?;
            let rows = Tensor::from_gpu(device, &[rows], losses);
            Ok(Loss { rows, gradient: Tensor::from_gpu(device, logits.shape(), gradient) })
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![Kernel::new("softmax_cross_entropy", &[])];
    kernels.extend([0, 1].map(|weighted| Kernel::new("bce_with_logits", &[("WEIGHTED", weighted)])));
    kernels
}
