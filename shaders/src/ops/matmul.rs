//! Matrix products and the linear layer.

use super::{Activation, activate, column_sum, cpu_tensor};
use crate::cpu::matmul::{Product, multiply};
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// Which operand is stored transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `a` `[m, k]` times `b` `[k, n]`.
    NN,
    /// `a` `[m, k]` times the transpose of `b` `[n, k]`.
    NT,
    /// The transpose of `a` `[k, m]` times `b` `[k, n]`.
    TN,
}

/// The product of `a` and `b`, `[m, n]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn matmul(a: &Tensor, b: &Tensor, layout: Layout) -> Result<Tensor> {
    let out = product("matmul", a, b, layout, None, Activation::None)?;
    Ok(record(out, [a, b], |[da, db]| {
        // What the other operand's gradient needs.
        let (a, b) = (db.then(|| a.detach()), da.then(|| b.detach()));
        move |gradient: &Tensor| {
            let at_a = b.map(|b| match layout {
                Layout::NN => matmul(gradient, &b, Layout::NT),
                Layout::NT => matmul(gradient, &b, Layout::NN),
                Layout::TN => matmul(&b, gradient, Layout::NT),
            });
            let at_b = a.map(|a| match layout {
                Layout::NN => matmul(&a, gradient, Layout::TN),
                Layout::NT => matmul(gradient, &a, Layout::TN),
                Layout::TN => matmul(&a, gradient, Layout::NN),
            });
            Ok([at_a.transpose()?, at_b.transpose()?])
        }
    }))
}

/// activation(x weightᵀ + bias): `x` `[rows, inputs]`, `weight` `[outputs, inputs]` (as torch stores it), `bias`
/// `[outputs]`, result `[rows, outputs]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    let inputs = [Some(x), Some(weight), bias];
    if inputs.iter().flatten().any(|input| input.is_traced()) && activation != Activation::None {
        // The backward pass needs the values before the activation.
        return activate(&linear(x, weight, bias, Activation::None)?, activation);
    }
    let out = product("linear", x, weight, Layout::NT, bias, activation)?;
    Ok(record(out, inputs, |[dx, dw, db]| {
        let (x, weight) = (dw.then(|| x.detach()), dx.then(|| weight.detach()));
        move |gradient: &Tensor| {
            let at_x = weight.map(|weight| matmul(gradient, &weight, Layout::NN)).transpose()?;
            let at_weight = x.map(|x| matmul(gradient, &x, Layout::TN)).transpose()?;
            Ok([at_x, at_weight, db.then(|| column_sum(gradient)).transpose()?])
        }
    }))
}

fn product(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    layout: Layout,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let ((a_rows, a_columns), (b_rows, b_columns)) = (a.matrix(op, "a")?, b.matrix(op, "b")?);
    let ((m, k), (depth, n)) = match layout {
        Layout::NN => ((a_rows, a_columns), (b_rows, b_columns)),
        Layout::NT => ((a_rows, a_columns), (b_columns, b_rows)),
        Layout::TN => ((a_columns, a_rows), (b_rows, b_columns)),
    };
    if k != depth {
        let shapes = format!("{:?} and {:?} do not share an inner size ({layout:?})", a.shape(), b.shape());
        return Err(Error::shape(op, shapes));
    }
    a.device().expect_home(op, &[b])?;
    if let Some(bias) = bias {
        bias.expect_vector(op, "bias", n)?;
        a.device().expect_home(op, &[bias])?;
    }
    let shape = [m, n];
    match a.device().backend() {
        Backend::Cpu(cpu) => {
            let (left, right) = (a.host(op)?, b.host(op)?);
            let bias = bias.map(|bias| bias.host(op)).transpose()?;
            let product = Product { layout, size: [m, n, k], a: left, b: right, bias, activation };
            Ok(cpu_tensor(a.device(), cpu, &shape, |out| multiply(cpu, &product, out)))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(m * n)?;
            let mut buffers = vec![a.binding(op)?, b.binding(op)?, Binding::whole(&out)];
            if let Some(bias) = bias {
                buffers.push(bias.binding(op)?);
            }
            let (name, tile) = variant(gpu);
            let strides = match layout {
                Layout::NN => [k, 1, n, 1],
                Layout::NT => [k, 1, 1, k],
                Layout::TN => [1, m, n, 1],
            };
            let words: Vec<u32> = [m, n, k].into_iter().chain(strides).map(|word| word as u32).collect();
            let work = m as f64 * n as f64 * k as f64;
            gpu.launch(&Launch {
                kernel: product_kernel(name, bias.is_some(), activation),
                parameters: &words,
                buffers: &buffers,
                groups: m.div_ceil(tile[0]) as u64 * n.div_ceil(tile[1]) as u64,
                cost: Cost { flops: 2.0 * work, bytes: 4.0 * (m * n) as f64 + work / 8.0 },
            })?;
            Ok(Tensor::from_gpu(a.device(), &shape, out))
        }
    }
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
pub(crate) fn kernels() -> Vec<Kernel> {
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
