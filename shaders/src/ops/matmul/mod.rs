//! Matrix products and the linear layer.

mod gpu;

pub(super) use gpu::kernels;
pub(crate) use gpu::product_kernels;

use super::{Activation, activate, column_sum, cpu_tensor};
use crate::cpu;
use crate::device::Backend;
use crate::element::Element;
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

/// The product of `a` and `b`, `[m, n]`. Operands may have a batch axis in front: products of `[batch, ..]` and
/// `[batch, ..]`, or of a batch with a matrix that all its products share, give `[batch, m, n]`. In the layouts NN and NT
/// a matrix `b` may be stored in 16 bits.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn matmul(a: &Tensor, b: &Tensor, layout: Layout) -> Result<Tensor> {
    let out = product("matmul", a, b, layout, None, Activation::None)?;
    Ok(record(out, [a, b], |[da, db]| {
        let axes = [a.shape().len(), b.shape().len()];
        // What the other operand's gradient needs.
        let (a, b) = (db.then(|| a.detach()), da.then(|| b.detach()));
        move |gradient: &Tensor| {
            let at_a = b.map(|b| match layout {
                Layout::NN => slope(gradient, &b, Layout::NT, axes[0]),
                Layout::NT => slope(gradient, &b, Layout::NN, axes[0]),
                Layout::TN => slope(&b, gradient, Layout::NT, axes[0]),
            });
            let at_b = a.map(|a| match layout {
                Layout::NN => slope(&a, gradient, Layout::TN, axes[1]),
                Layout::NT => slope(gradient, &a, Layout::TN, axes[1]),
                Layout::TN => slope(&a, gradient, Layout::NN, axes[1]),
            });
            Ok([at_a.transpose()?, at_b.transpose()?])
        }
    }))
}

/// The gradient at an operand of `axes` axes: a product, summed over the batch if the operand was shared by it.
fn slope(a: &Tensor, b: &Tensor, layout: Layout, axes: usize) -> Result<Tensor> {
    match (axes, layout, a.shape(), b.shape()) {
        // The sum over the batch is a longer inner sum.
        (2, Layout::TN, &[batch, k, m], &[_, _, n]) => {
            matmul(&a.reshape(&[batch * k, m])?, &b.reshape(&[batch * k, n])?, layout)
        }
        _ => {
            let products = matmul(a, b, layout)?;
            match (axes, products.shape()) {
                (2, &[batch, m, n]) => column_sum(&products.reshape(&[batch, m * n])?)?.reshape(&[m, n]),
                _ => Ok(products),
            }
        }
    }
}

/// activation(x weightᵀ + bias): `x` `[rows, inputs]`, `weight` `[outputs, inputs]` (as torch stores it; f32, or stored
/// in 16 bits), `bias` `[outputs]`, result `[rows, outputs]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
    let inputs = [Some(x), Some(weight), bias];
    if inputs.iter().flatten().any(|input| input.is_traced()) && activation != Activation::None {
        // The backward pass needs the values before the activation.
        return activate(&linear(x, weight, bias, Activation::None)?, activation);
    }
    x.matrix("linear", "x")?;
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

/// Operands of activation(op(a) op(b) + bias), checked: `size` is rows and columns of the result and the length of the
/// sums. Only `b` may be stored in 16 bits, and only if there is no batch (`batch.count` is 1).
struct Product<'a> {
    a: &'a Tensor,
    b: &'a Tensor,
    layout: Layout,
    size: [usize; 3],
    batch: Batch,
    bias: Option<&'a Tensor>,
    activation: Activation,
}

/// Products of one size. Matrices of `a` begin `a` values apart, those of `b` `b` values (0: all share one), results
/// m n values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) count: usize,
    pub(crate) a: usize,
    pub(crate) b: usize,
}

/// The batch axis, if there is one, and the sizes of the matrices.
fn operand(op: &'static str, name: &str, tensor: &Tensor) -> Result<(Option<usize>, [usize; 2])> {
    match *tensor.shape() {
        [rows, columns] => Ok((None, [rows, columns])),
        [batch, rows, columns] => Ok((Some(batch), [rows, columns])),
        _ => {
            let shape = tensor.shape();
            Err(Error::shape(op, format!("`{name}` must have two or three axes, it has shape {shape:?}")))
        }
    }
}

fn product(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    layout: Layout,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let ((a_batch, [a_rows, a_columns]), (b_batch, [b_rows, b_columns])) =
        (operand(op, "a", a)?, operand(op, "b", b)?);
    let ((m, k), (depth, n)) = match layout {
        Layout::NN => ((a_rows, a_columns), (b_rows, b_columns)),
        Layout::NT => ((a_rows, a_columns), (b_columns, b_rows)),
        Layout::TN => ((a_columns, a_rows), (b_rows, b_columns)),
    };
    if k != depth || a_batch.zip(b_batch).is_some_and(|(a, b)| a != b) {
        let shapes = format!("{:?} and {:?} do not fit together ({layout:?})", a.shape(), b.shape());
        return Err(Error::shape(op, shapes));
    }
    a.device().expect_home(op, &[b])?;
    if let Some(bias) = bias {
        bias.expect_vector(op, "bias", n)?;
        a.device().expect_home(op, &[bias])?;
    }
    a.expect_f32(op)?;
    if b_batch.is_some() || layout == Layout::TN {
        b.expect_f32(op)?;
    }
    let shape: Vec<usize> = a_batch.or(b_batch).into_iter().chain([m, n]).collect();
    let (size, batch) = match (a_batch, b_batch) {
        (None, None) => ([m, n, k], Batch { count: 1, a: 0, b: 0 }),
        // Rows of all the products, one below the other.
        (Some(count), None) if layout != Layout::TN => ([count * m, n, k], Batch { count: 1, a: 0, b: 0 }),
        (Some(count), None) => ([m, n, k], Batch { count, a: m * k, b: 0 }),
        (None, Some(count)) => ([m, n, k], Batch { count, a: 0, b: n * k }),
        (Some(count), Some(_)) => ([m, n, k], Batch { count, a: m * k, b: n * k }),
    };
    match a.device().backend() {
        Backend::Cpu(cpu) => {
            let bias = bias.map(|bias| bias.host(op)).transpose()?;
            let (left, right) = (a.host(op)?, b.host_stored(op)?);
            // Panels of f32 beside 16-bit values would undo what those save.
            let kept = b.kept().filter(|_| layout == Layout::NT && b.element() == Element::F32);
            let product =
                cpu::matmul::Product { layout, size, batch, a: left, b: right, kept, bias, activation };
            Ok(cpu_tensor(a.device(), cpu, &shape, |out| cpu::matmul::multiply(cpu, &product, out)))
        }
        Backend::Gpu(gpu) => {
            gpu::product(gpu, op, &Product { a, b, layout, size, batch, bias, activation })?.reshape(&shape)
        }
    }
}
