//! Sums of tensors.

use super::{column_sum, cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// a + b for two tensors of one shape.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "add";
    b.expect_like(OP, "b", a)?;
    a.device().expect_home(OP, &[b])?;
    let out = match a.device().backend() {
        Backend::Cpu(cpu) => {
            let (left, right) = (a.host(OP)?, b.host(OP)?);
            cpu_tensor(a.device(), cpu, a.shape(), |out| cpu::elementwise::add(cpu, left, right, out))
        }
        Backend::Gpu(gpu) => elementwise(gpu, OP, &Kernel::new("add", &[("ROW", 0)]), &[1], &[a, b], &[])?,
    };
    Ok(record(out, [a, b], |wanted| {
        move |gradient: &Tensor| Ok(wanted.map(|wanted| wanted.then(|| gradient.clone())))
    }))
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
    let out = match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, added) = (x.host(OP)?, row.host(OP)?);
            cpu_tensor(x.device(), cpu, x.shape(), |out| cpu::elementwise::add_row(cpu, values, added, out))
        }
        Backend::Gpu(gpu) => {
            elementwise(gpu, OP, &Kernel::new("add", &[("ROW", 1)]), &[columns as u32], &[x], &[row])?
        }
    };
    Ok(record(out, [x, row], |[x, row]| {
        move |gradient: &Tensor| {
            let row = row.then(|| column_sum(gradient)).transpose()?;
            Ok([x.then(|| gradient.clone()), row])
        }
    }))
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    [0, 1].map(|row| Kernel::new("add", &[("ROW", row)])).to_vec()
}
