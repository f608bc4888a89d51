//! Backward of the rectifier.

use super::{cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// The gradient at the rectifier's input: `gradient` where `output` (or, equally, the input) is above 0, else 0.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn relu_backward(gradient: &Tensor, output: &Tensor) -> Result<Tensor> {
    const OP: &str = "relu_backward";
    output.expect_like(OP, "output", gradient)?;
    gradient.device().expect_home(OP, &[output])?;
    match gradient.device().backend() {
        Backend::Cpu(cpu) => {
            let (slope, y) = (gradient.host(OP)?, output.host(OP)?);
            let fill = |out: &mut [f32]| cpu::elementwise::relu_backward(cpu, slope, y, out);
            Ok(cpu_tensor(gradient.device(), cpu, gradient.shape(), fill))
        }
        Backend::Gpu(gpu) => {
            elementwise(gpu, OP, &Kernel::new("relu_backward", &[]), &[], &[gradient, output], &[])
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("relu_backward", &[])]
}
