//! Gathering rows of a table.

use super::cpu_tensor;
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::segments::Ids;
use crate::tensor::Tensor;

/// Rows `ids` of `table` `[entries, columns]`, as `[ids, columns]`. Also serves to pick the rows of a training batch.
///
/// # Errors
/// An id is not a row of the table; devices differ; the device's errors.
pub fn embed(table: &Tensor, ids: &Ids) -> Result<Tensor> {
    const OP: &str = "embed";
    let (entries, columns) = table.matrix(OP, "table")?;
    if let Some(largest) = ids.largest().filter(|&id| id as usize >= entries) {
        return Err(Error::shape(OP, format!("id {largest} is outside of a table of {entries} rows")));
    }
    if !table.device().same(ids.device()) {
        return Err(Error::MixedDevices { op: OP });
    }
    let shape = [ids.len(), columns];
    match table.device().backend() {
        Backend::Cpu(cpu) => {
            let rows = table.host(OP)?;
            let fill = |out: &mut [f32]| cpu::elementwise::embed(cpu, rows, columns, ids.values(), out);
            Ok(cpu_tensor(table.device(), cpu, &shape, fill))
        }
        Backend::Gpu(gpu) => {
            let count = ids.len() * columns;
            let out = gpu.buffer(count)?;
            let index = ids.binding(OP)?;
            gpu.launch(&Launch {
                kernel: Kernel::new("embed", &[]),
                parameters: &[count as u32, columns as u32],
                buffers: &[table.binding(OP)?, index, Binding::whole(&out)],
                groups: (count as u64).div_ceil(super::ELEMENTS),
                cost: Cost { flops: count as f64, bytes: 8.0 * count as f64 },
            })?;
            Ok(Tensor::from_gpu(table.device(), &shape, out))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("embed", &[])]
}
