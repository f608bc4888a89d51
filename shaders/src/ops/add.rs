//! Sums of tensors.

use super::{cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// a + b for two tensors of one shape.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "add";
    b.expect_like(OP, "b", a)?;
    a.device().expect_home(OP, &[b])?;
    match a.device().backend() {
        Backend::Cpu(cpu) => {
            let (left, right) = (a.host(OP)?, b.host(OP)?);
            Ok(cpu_tensor(a.device(), cpu, a.shape(), |out| cpu::elementwise::add(cpu, left, right, out)))
        }
        Backend::Gpu(gpu) => {
            elementwise(gpu, OP, a.shape(), Kernel::new("add", &[("ROW", 0)]), &[1], &[a, b])
        }
    }
}

/// Adds the vector `row` `[columns]` to every row of `x` `[rows, columns]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn add_row(x: &Tensor, row: &Tensor) -> Result<Tensor> {
    const OP: &str = "add_row";
    let (_, columns) = x.matrix(OP, "x")?;
    row.expect_vector(OP, "row", columns)?;
    x.device().expect_home(OP, &[row])?;
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, added) = (x.host(OP)?, row.host(OP)?);
            Ok(cpu_tensor(x.device(), cpu, x.shape(), |out| {
                cpu::elementwise::add_row(cpu, values, added, out);
            }))
        }
        Backend::Gpu(gpu) => {
            elementwise(gpu, OP, x.shape(), Kernel::new("add", &[("ROW", 1)]), &[columns as u32], &[x, row])
        }
    }
}
