//! The operations: one file each with the shape check and the launch on either backend.
//!
//! All take tensors of one device and fail with [`Error::Shape`](crate::Error::Shape) or
//! [`Error::MixedDevices`](crate::Error::MixedDevices) before any work when the operands do not fit. Shapes are written
//! `[rows, columns]`; everything is f32. Not-a-number and infinities propagate as in IEEE arithmetic.

mod activate;
mod add;
mod attention;
mod embed;
mod layer_norm;
mod loss;
mod matmul;
mod optimiser;
mod pool;
mod reduce;
mod relu_backward;
mod scale;

pub use activate::{Activation, activate};
pub use add::{add, add_row};
pub use attention::attention;
pub use embed::embed;
pub use layer_norm::layer_norm;
pub use loss::{Loss, bce_with_logits, softmax_cross_entropy};
pub use matmul::{Layout, linear, matmul};
pub use optimiser::{Adam, Parameter, Sgd, adam, adamw, sgd_momentum};
pub(crate) use optimiser::{AdamStep, SgdStep};
pub use pool::{Pool, pool};
pub use reduce::{column_sum, sum};
pub use relu_backward::relu_backward;
pub use scale::scale;

use crate::cpu::Cpu;
use crate::device::Device;
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Every kernel with every combination of constants that the operations launch.
pub(crate) fn kernels() -> Vec<Kernel> {
    [
        activate::kernels(),
        add::kernels(),
        attention::kernels(),
        embed::kernels(),
        layer_norm::kernels(),
        loss::kernels(),
        matmul::kernels(),
        optimiser::kernels(),
        pool::kernels(),
        reduce::kernels(),
        relu_backward::kernels(),
        scale::kernels(),
    ]
    .concat()
}

/// Invocations of a workgroup of the element-wise kernels.
const ELEMENTS: u64 = 256;

/// An element-wise kernel: one value of each of `inputs`, which have one shape, for one of the result. Kernels see their
/// operands in the order `inputs`, `whole` (small tensors that every value may need), result.
fn elementwise(
    gpu: &Gpu,
    op: &'static str,
    kernel: &Kernel,
    parameters: &[u32],
    inputs: &[&Tensor],
    whole: &[&Tensor],
) -> Result<Tensor> {
    let shape = inputs[0].shape();
    let out = gpu.buffer(inputs[0].len())?;
    let rows = shape.first().copied().unwrap_or(1);
    let width = shape.iter().skip(1).product();
    for window in gpu.windows(rows, width)? {
        let mut buffers: Vec<Binding<'_>> =
            inputs.iter().map(|input| input.window(op, &window)).collect::<Result<_>>()?;
        for tensor in whole {
            buffers.push(tensor.binding(op)?);
        }
        buffers.push(out.rows(&window, width));
        let count = window.len() * width;
        let mut words = vec![count as u32];
        words.extend_from_slice(parameters);
        gpu.launch(&Launch {
            kernel: kernel.clone(),
            parameters: &words,
            buffers: &buffers,
            groups: (count as u64).div_ceil(ELEMENTS),
            cost: Cost { flops: 20.0 * count as f64, bytes: 4.0 * (count * buffers.len()) as f64 },
        })?;
    }
    Ok(Tensor::from_gpu(inputs[0].device(), shape, out))
}

/// A result of the CPU backend, written by `fill`.
fn cpu_tensor(device: &Device, cpu: &Cpu, shape: &[usize], fill: impl FnOnce(&mut [f32])) -> Tensor {
    let mut out = cpu.buffer(shape.iter().product());
    fill(out.values_mut());
    Tensor::from_cpu(device, shape, out)
}
