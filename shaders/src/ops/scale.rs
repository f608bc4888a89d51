//! Multiplication by a number.

use super::{cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// x · factor.
///
/// # Errors
/// The device's errors.
pub fn scale(x: &Tensor, factor: f32) -> Result<Tensor> {
    const OP: &str = "scale";
    let out = match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            cpu_tensor(x.device(), cpu, x.shape(), |out| cpu::elementwise::scale(cpu, values, factor, out))
        }
        Backend::Gpu(gpu) => {
            elementwise(gpu, OP, &Kernel::new("scale", &[]), &[factor.to_bits()], &[x], &[])?
        }
    };
    Ok(record(out, [x], |_| move |gradient: &Tensor| Ok([Some(scale(gradient, factor)?)])))
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("scale", &[])]
}
