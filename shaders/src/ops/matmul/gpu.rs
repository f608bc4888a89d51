//! Matrix products on a GPU: which kernel, and its launch.

use super::{Layout, Product};
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::ops::Activation;
use crate::tensor::Tensor;

/// Launches the product.
pub(super) fn product(gpu: &Gpu, op: &'static str, product: &Product<'_>) -> Result<Tensor> {
    let Product { a, b, layout, size: [m, n, k], bias, activation } = *product;
    let out = gpu.buffer(m * n)?;
    let (name, tile) = variant(gpu);
    let strides = match layout {
        Layout::NN => [k, 1, n, 1],
        Layout::NT => [k, 1, 1, k],
        Layout::TN => [1, m, n, 1],
    };
    let words: Vec<u32> = [m, n, k].into_iter().chain(strides).map(|word| word as u32).collect();
    let mut buffers = vec![a.binding(op)?, b.binding(op)?, Binding::whole(&out)];
    if let Some(bias) = bias {
        buffers.push(bias.binding(op)?);
    }
    let work = m as f64 * n as f64 * k as f64;
    gpu.launch(&Launch {
        kernel: product_kernel(name, bias.is_some(), activation),
        parameters: &words,
        buffers: &buffers,
        groups: m.div_ceil(tile[0]) as u64 * n.div_ceil(tile[1]) as u64,
        cost: Cost { flops: 2.0 * work, bytes: 4.0 * (m * n) as f64 + work / 8.0 },
    })?;
    Ok(Tensor::from_gpu(a.device(), &[m, n], out))
}

/// The kernel for this class of adapter, and the rows and columns of one workgroup. Both add up in the same order.
fn variant(gpu: &Gpu) -> (&'static str, [usize; 2]) {
    if gpu.tiled() { ("matmul_tile", [64, 64]) } else { ("matmul_register", [16, 64]) }
}

/// A matrix product with this epilogue.
fn product_kernel(name: &'static str, bias: bool, activation: Activation) -> Kernel {
    let constants = [
        ("ACTIVATION", activation.code()),
        ("BIAS", u32::from(bias)),
        ("EPILOGUE", u32::from(bias || activation != Activation::None)),
    ];
    Kernel::new(name, &constants)
}

/// The kernels of this file, in all variants that it launches.
pub(in crate::ops) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for activation in Activation::ALL {
        for bias in [false, true] {
            for file in ["matmul_register", "matmul_tile"] {
                kernels.push(product_kernel(file, bias, activation));
            }
        }
    }
    kernels
}
