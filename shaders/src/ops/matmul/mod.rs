//! Matrix products and the linear layer.

mod gpu;

pub(super) use gpu::kernels;

use super::{Activation, activate, column_sum, cpu_tensor};
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
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

/// Operands of activation(op(a) op(b) + bias), checked: `size` is rows and columns of the result and the length of the sums.
struct Product<'a> {
    a: &'a Tensor,
    b: &'a Tensor,
    layout: Layout,
    size: [usize; 3],
    bias: Option<&'a Tensor>,
    activation: Activation,
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
            let product =
                cpu::matmul::Product { layout, size: [m, n, k], a: left, b: right, bias, activation };
            Ok(cpu_tensor(a.device(), cpu, &shape, |out| cpu::matmul::multiply(cpu, &product, out)))
        }
        Backend::Gpu(gpu) => {
            gpu::product(gpu, op, &Product { a, b, layout, size: [m, n, k], bias, activation })
        }
    }
}
