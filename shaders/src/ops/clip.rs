//! Clipping gradients by their global norm (Pascanu, Mikolov and Bengio 2013).

use super::reduce::squares;
use super::{add, cpu_tensor, scale_by, sum};
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Scales all `gradients` by one factor such that their common norm is `max_norm` at most, as torch's `clip_grad_norm_`:
/// the factor is max_norm / (norm + 10⁻⁶) or 1, whichever is smaller, and not a number if the norm is none. Returns the norm
/// before clipping, `[1]`; nothing waits for the device unless the caller reads it.
///
/// # Errors
/// There are no gradients, they are on several devices, or `max_norm` is negative or not a number; the device's errors.
pub fn clip_gradients(gradients: &mut [Tensor], max_norm: f64) -> Result<Tensor> {
    const OP: &str = "clip_gradients";
    let Some((first, rest)) = gradients.split_first() else {
        return Err(Error::shape(OP, "there are no gradients"));
    };
    if max_norm.is_nan() || max_norm < 0.0 {
        return Err(Error::shape(OP, format!("{max_norm} is no norm")));
    }
    first.device().expect_home(OP, &rest.iter().collect::<Vec<_>>())?;
    let mut total = squares(&first.detach())?;
    for gradient in rest {
        total = add(&total, &squares(&gradient.detach())?)?;
    }
    let [norm, factor] = norm_and_factor(&sum(&total)?, max_norm as f32)?;
    for gradient in gradients {
        *gradient = scale_by(gradient, &factor)?;
    }
    Ok(norm)
}

/// The norm, and the factor that makes it `most` at most, from the sum of squares.
fn norm_and_factor(total: &Tensor, most: f32) -> Result<[Tensor; 2]> {
    const OP: &str = "clip_gradients";
    let device = total.device();
    match device.backend() {
        Backend::Cpu(cpu) => {
            let norm = total.host(OP)?.first().copied().unwrap_or(0.0).sqrt();
            let factor = most / (norm + 1e-6);
            // A factor that is not a number stays.
            let factor = if factor >= 1.0 { 1.0 } else { factor };
            Ok([norm, factor].map(|value| cpu_tensor(device, cpu, &[1], |out| out.fill(value))))
        }
        Backend::Gpu(gpu) => {
            let (norm, factor) = (gpu.buffer(1)?, gpu.buffer(1)?);
            gpu.launch(&Launch {
                kernel: Kernel::new("clip", &[]),
                parameters: &[most.to_bits()],
                buffers: &[total.binding(OP)?, Binding::whole(&norm), Binding::whole(&factor)],
                groups: 1,
                cost: Cost { flops: 1.0, bytes: 12.0 },
            })?;
            Ok([norm, factor].map(|buffer| Tensor::from_gpu(device, &[1], buffer)))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("clip", &[])]
}
