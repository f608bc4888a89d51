//! Softmax of rows.

use super::cpu_tensor;
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// e^x / Σ e^x over each row of `x` `[rows, columns]`, without overflow. As in torch, a row of nothing but -∞, and one
/// with +∞ or not-a-number, becomes not-a-number.
///
/// # Errors
/// The shape does not fit; the device's errors.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    const OP: &str = "softmax";
    x.matrix(OP, "x")?;
    let out = match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, columns) = (x.host(OP)?, x.shape()[1]);
            cpu_tensor(x.device(), cpu, x.shape(), |out| cpu::softmax::forward(cpu, values, columns, out))
        }
        Backend::Gpu(_) => launch(OP, "softmax", &[x])?,
    };
    let result = out.clone();
    Ok(record(out, [x], |_| move |gradient: &Tensor| Ok([Some(backward(gradient, &result)?)])))
}

/// The gradient at the operand: y (gradient - Σ gradient y) for each row, from the result y.
fn backward(gradient: &Tensor, result: &Tensor) -> Result<Tensor> {
    const OP: &str = "softmax_backward";
    let device = gradient.device();
    match device.backend() {
        Backend::Cpu(cpu) => {
            let (slope, y) = (gradient.host(OP)?, result.host(OP)?);
            let columns = result.shape()[1];
            let fill = |out: &mut [f32]| cpu::softmax::backward(cpu, slope, y, columns, out);
            Ok(cpu_tensor(device, cpu, gradient.shape(), fill))
        }
        Backend::Gpu(_) => launch(OP, "softmax_backward", &[gradient, result]),
    }
}

/// One workgroup a row of `inputs`, which have one shape.
fn launch(op: &'static str, kernel: &'static str, inputs: &[&Tensor]) -> Result<Tensor> {
    let device = inputs[0].device();
    let gpu = device.gpu(op)?;
    let (rows, columns) = inputs[0].matrix(op, "x")?;
    let out = gpu.buffer(rows * columns)?;
    for window in gpu.windows(rows, columns)? {
        let mut buffers: Vec<Binding<'_>> =
            inputs.iter().map(|input| input.window(op, &window)).collect::<Result<_>>()?;
        buffers.push(out.rows(&window, columns));
        let values = (window.len() * columns) as f64;
        gpu.launch(&Launch {
            kernel: Kernel::new(kernel, &[]),
            parameters: &[columns as u32],
            buffers: &buffers,
            groups: if columns == 0 { 0 } else { window.len() as u64 },
            cost: Cost { flops: 20.0 * values, bytes: 12.0 * values },
        })?;
    }
    Ok(Tensor::from_gpu(device, inputs[0].shape(), out))
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["softmax", "softmax_backward"].map(|name| Kernel::new(name, &[])).to_vec()
}
