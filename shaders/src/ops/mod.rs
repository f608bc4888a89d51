//! The operations: one file or folder each with the shape check, the launch on either backend, and the backward pass.
//!
//! All take tensors of one device and fail with [`Error::Shape`](crate::Error::Shape) or
//! [`Error::MixedDevices`](crate::Error::MixedDevices) before any work when the operands do not fit. Shapes are written
//! `[rows, columns]`; everything is f32, but weights of linear layers and tables of embeddings may be stored in 16 bits
//! ([`Element`](crate::Element)). Not-a-number and infinities propagate as in IEEE arithmetic.
//!
//! Operands, lists and results may be larger than what a GPU lets a kernel bind at once: the work is then cut, which
//! changes no bit (but for sums over windows of a sparse product's table). What cannot be cut is
//! [`DeviceError::TooLarge`](crate::DeviceError::TooLarge): 128 rows of an operand (of a product or a column sum: one), 256
//! rows of the features of a linear attention, and 8 bytes for each head and block of 256 keys of it.

mod activate;
mod add;
mod attention;
mod clip;
mod columns;
mod dropout;
mod embed;
mod gated;
mod heads;
mod layer_norm;
mod linear_attention;
mod loss;
mod mask;
mod matmul;
mod multiply;
mod norm;
mod optimiser;
mod pool;
mod ragged;
mod reduce;
mod rms_norm;
mod rotary;
mod scale;
mod scale_by;
mod softmax;
mod sparse;

pub use activate::{Activation, Slope, activate};
pub use add::{add, add_row};
pub(crate) use attention::attention_kernels;
pub use attention::{Attention, attention, attention_with};
pub use clip::clip_gradients;
pub(crate) use columns::Copy;
pub use columns::{concat_columns, slice_columns};
pub(crate) use dropout::DropoutWords;
pub use dropout::{Dropout, dropout};
pub use embed::embed;
pub use gated::{gated, swiglu};
pub use layer_norm::{group_norm, layer_norm};
pub(crate) use linear_attention::{BLOCK_ROWS, Curve, Rule};
pub use linear_attention::{
    Denominator, KeyMaximum, Performer, PerformerSettings, feature_attention, flow_attention,
    performer_attention, performer_attention_with,
};
pub(crate) use loss::Goals;
pub use loss::{
    CrossEntropy, Loss, bce_with_logits, mean_squared_error, softmax_cross_entropy,
    softmax_cross_entropy_with,
};
pub use mask::{mask, mask_rows};
pub(crate) use matmul::Batch;
pub(crate) use matmul::product_kernels;
pub use matmul::{Layout, linear, matmul};
pub use multiply::{mul, mul_column, mul_row, row_dot};
pub use optimiser::{Adagrad, Adam, OptimiserState, Parameter, Sgd, adagrad, adam, adamw, sgd_momentum};
pub(crate) use optimiser::{AdamStep, SgdStep};
pub use pool::{Pool, pool, weighted_pool};
pub(crate) use pool::{Reduction, SKIPPED};
pub(crate) use ragged::{BLOCK, Item};
pub(crate) use reduce::Term;
pub use reduce::{column_sum, mean, sum};
pub use rms_norm::rms_norm;
pub use rotary::{Rotary, rotary, row_positions};
pub use scale::scale;
use scale_by::scale_by;
pub use softmax::softmax;
pub use sparse::{Csr, csr_matmul};

use crate::cpu::Cpu;
use crate::device::Device;
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Every kernel with constants that the operations launch; a choice of them where there are many combinations.
pub(crate) fn kernels() -> Vec<Kernel> {
    [
        activate::kernels(),
        add::kernels(),
        attention::kernels(),
        clip::kernels(),
        columns::kernels(),
        dropout::kernels(),
        embed::kernels(),
        gated::kernels(),
        linear_attention::kernels(),
        loss::kernels(),
        mask::kernels(),
        matmul::kernels(),
        multiply::kernels(),
        norm::kernels(),
        optimiser::kernels(),
        pool::kernels(),
        reduce::kernels(),
        rotary::kernels(),
        scale::kernels(),
        scale_by::kernels(),
        softmax::kernels(),
        sparse::kernels(),
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

/// A result of the CPU backend, written by `fill`: not in a rehearsal, and not if the memory is full, which whatever uses
/// the result reports.
fn cpu_tensor(device: &Device, cpu: &Cpu, shape: &[usize], fill: impl FnOnce(&mut [f32])) -> Tensor {
    let mut out = cpu.result(shape.iter().product());
    if out.has_memory() {
        fill(out.values_mut());
    }
    Tensor::from_cpu(device, shape, out)
}
