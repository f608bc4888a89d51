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
pub(crate) use attention::attention_kernel;
pub use embed::embed;
pub use layer_norm::layer_norm;
pub use loss::{Loss, bce_with_logits, softmax_cross_entropy};
pub(crate) use matmul::product_kernel;
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
use crate::gpu::{Cost, Gpu, GpuBuffer, Launch};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Invocations of a workgroup of the element-wise kernels.
const ELEMENTS: u64 = 256;

/// An element-wise kernel over the values of `shape`: one read per tensor in `inputs`, one result on their device.
fn elementwise(
    gpu: &Gpu,
    op: &'static str,
    shape: &[usize],
    kernel: Kernel,
    parameters: &[u32],
    inputs: &[&Tensor],
) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let out = gpu.buffer(count)?;
    let mut buffers: Vec<&GpuBuffer> = inputs.iter().map(|input| input.buffer(op)).collect::<Result<_>>()?;
    buffers.push(&out);
    let mut words = vec![count as u32];
    words.extend_from_slice(parameters);
    gpu.launch(&Launch {
        kernel,
        parameters: &words,
        buffers: &buffers,
        groups: (count as u64).div_ceil(ELEMENTS),
        cost: Cost { flops: 20.0 * count as f64, bytes: 4.0 * (count * buffers.len()) as f64 },
    })?;
    Ok(Tensor::from_gpu(inputs[0].device(), shape, out))
}

/// A result of the CPU backend, written by `fill`.
fn cpu_tensor(device: &Device, cpu: &Cpu, shape: &[usize], fill: impl FnOnce(&mut [f32])) -> Tensor {
    let mut out = cpu.buffer(shape.iter().product());
    fill(out.values_mut());
    Tensor::from_cpu(device, shape, out)
}
