//! Products value by value, with one factor a column or a row, and dot products of rows.

use super::{column_sum, cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Cost, Launch};
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// a b, value by value, for two tensors of one shape.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn mul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "mul";
    b.expect_like(OP, "b", a)?;
    a.device().expect_home(OP, &[b])?;
    let out = match a.device().backend() {
        Backend::Cpu(cpu) => {
            let (left, right) = (a.host(OP)?, b.host(OP)?);
            cpu_tensor(a.device(), cpu, a.shape(), |out| cpu::elementwise::mul(cpu, left, right, out))
        }
        Backend::Gpu(gpu) => elementwise(gpu, OP, &kernel(SAME), &[1], &[a, b], &[])?,
    };
    Ok(record(out, [a, b], |[da, db]| {
        let (a, b) = (db.then(|| a.detach()), da.then(|| b.detach()));
        move |gradient: &Tensor| {
            let at_a = b.map(|b| mul(gradient, &b)).transpose()?;
            Ok([at_a, a.map(|a| mul(gradient, &a)).transpose()?])
        }
    }))
}

/// Multiplies column i of `x` `[rows, columns]` by value i of `row` `[columns]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn mul_row(x: &Tensor, row: &Tensor) -> Result<Tensor> {
    const OP: &str = "mul_row";
    let (_, columns) = x.matrix(OP, "x")?;
    row.expect_vector(OP, "row", columns)?;
    x.device().expect_home(OP, &[row])?;
    let out = match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, factors) = (x.host(OP)?, row.host(OP)?);
            cpu_tensor(x.device(), cpu, x.shape(), |out| cpu::elementwise::mul_row(cpu, values, factors, out))
        }
        Backend::Gpu(gpu) => elementwise(gpu, OP, &kernel(ROW), &[columns as u32], &[x], &[row])?,
    };
    Ok(record(out, [x, row], |[dx, dr]| {
        let (x, row) = (dr.then(|| x.detach()), dx.then(|| row.detach()));
        move |gradient: &Tensor| {
            let at_x = row.map(|row| mul_row(gradient, &row)).transpose()?;
            Ok([at_x, x.map(|x| column_sum(&mul(gradient, &x)?)).transpose()?])
        }
    }))
}

/// Multiplies row i of `x` `[rows, columns]` by value i of `column` `[rows]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn mul_column(x: &Tensor, column: &Tensor) -> Result<Tensor> {
    const OP: &str = "mul_column";
    let (rows, columns) = x.matrix(OP, "x")?;
    column.expect_vector(OP, "column", rows)?;
    x.device().expect_home(OP, &[column])?;
    let out = match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, factors) = (x.host(OP)?, column.host(OP)?);
            cpu_tensor(x.device(), cpu, x.shape(), |out| {
                cpu::elementwise::mul_column(cpu, values, columns, factors, out);
            })
        }
        // The factors are cut into the same windows of rows as `x`.
        Backend::Gpu(gpu) => elementwise(gpu, OP, &kernel(COLUMN), &[columns as u32], &[x, column], &[])?,
    };
    Ok(record(out, [x, column], |[dx, dc]| {
        let (x, column) = (dc.then(|| x.detach()), dx.then(|| column.detach()));
        move |gradient: &Tensor| {
            let at_x = column.map(|column| mul_column(gradient, &column)).transpose()?;
            Ok([at_x, x.map(|x| row_dot(gradient, &x)).transpose()?])
        }
    }))
}

/// The dot product of row i of `a` with row i of `b`, both `[rows, columns]`, as `[rows]`.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn row_dot(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "row_dot";
    let (rows, columns) = a.matrix(OP, "a")?;
    b.expect_like(OP, "b", a)?;
    a.device().expect_home(OP, &[b])?;
    let out = match a.device().backend() {
        Backend::Cpu(cpu) => {
            let (left, right) = (a.host(OP)?, b.host(OP)?);
            cpu_tensor(a.device(), cpu, &[rows], |out| {
                cpu::elementwise::row_dot(cpu, left, right, columns, out);
            })
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(rows)?;
            for window in gpu.windows(rows, columns)? {
                let values = (window.len() * columns) as f64;
                gpu.launch(&Launch {
                    kernel: Kernel::new("row_dot", &[]),
                    parameters: &[columns as u32],
                    buffers: &[a.window(OP, &window)?, b.window(OP, &window)?, out.rows(&window, 1)],
                    groups: window.len() as u64,
                    cost: Cost { flops: 2.0 * values, bytes: 8.0 * values },
                })?;
            }
            Tensor::from_gpu(a.device(), &[rows], out)
        }
    };
    Ok(record(out, [a, b], |[da, db]| {
        let (a, b) = (db.then(|| a.detach()), da.then(|| b.detach()));
        move |gradient: &Tensor| {
            let at_a = b.map(|b| mul_column(&b, gradient)).transpose()?;
            Ok([at_a, a.map(|a| mul_column(&a, gradient)).transpose()?])
        }
    }))
}

/// Which factor belongs to a value, as the kernel knows it.
const SAME: u32 = 0;
const ROW: u32 = 1;
const COLUMN: u32 = 2;

fn kernel(kind: u32) -> Kernel {
    Kernel::new("multiply", &[("KIND", kind)])
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![kernel(SAME), kernel(ROW), kernel(COLUMN), Kernel::new("row_dot", &[])]
}
