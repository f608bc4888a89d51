//! Sums over rows, in a fixed tree: 256 rows in order, then 256 of those sums, and so on.

use super::cpu_tensor;
use crate::cpu::reduce::{BLOCK, sum_blocks};
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// The sum of the rows of `x` `[rows, columns]`, as `[columns]`.
///
/// # Errors
/// The device's errors.
pub fn column_sum(x: &Tensor) -> Result<Tensor> {
    let (rows, columns) = x.matrix("column_sum", "x")?;
    if rows == 0 {
        return x.device().zeros(&[columns]);
    }
    let mut sums = sum_step(x, rows, columns)?;
    while sums.shape()[0] > 1 {
        sums = sum_step(&sums, sums.shape()[0], columns)?;
    }
    sums.reshape(&[columns])
}

/// The sum of all values, as `[1]`.
///
/// # Errors
/// The device's errors.
pub fn sum(x: &Tensor) -> Result<Tensor> {
    column_sum(&x.reshape(&[x.len(), 1])?)
}

fn sum_step(x: &Tensor, rows: usize, columns: usize) -> Result<Tensor> {
    const OP: &str = "column_sum";
    let shape = [rows.div_ceil(BLOCK), columns];
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            Ok(cpu_tensor(x.device(), cpu, &shape, |out| sum_blocks(cpu, values, columns, out)))
        }
        Backend::Gpu(gpu) => {
            let count = shape[0] * columns;
            let out = gpu.buffer(count)?;
            gpu.launch(&Launch {
                kernel: Kernel::new("sum_blocks", &[]),
                parameters: &[count as u32, rows as u32, columns as u32, BLOCK as u32],
                buffers: &[x.binding(OP)?, Binding::whole(&out)],
                groups: (count as u64).div_ceil(super::ELEMENTS),
                cost: Cost { flops: x.len() as f64, bytes: 4.0 * (x.len() + count) as f64 },
            })?;
            Ok(Tensor::from_gpu(x.device(), &shape, out))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("sum_blocks", &[])]
}
