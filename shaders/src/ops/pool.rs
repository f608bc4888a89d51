//! Pooling of ragged segments to one row each.

use super::cpu_tensor;
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// How the rows of a segment become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The mean of the rows between the first `skip_first` and the last `skip_last` (special tokens).
    Mean {
        /// Rows left out at the start.
        skip_first: usize,
        /// Rows left out at the end.
        skip_last: usize,
    },
    /// The first row (a class token).
    First,
    /// The largest value of each column.
    Max,
}

/// One row per segment of `x` `[rows, columns]`. A segment without rows to pool gives not a number.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn pool(x: &Tensor, segments: &Segments, kind: Pool) -> Result<Tensor> {
    const OP: &str = "pool";
    let (rows, columns) = x.matrix(OP, "x")?;
    if segments.rows() != rows {
        let message = format!("the segments cover {} rows, `x` has {rows}", segments.rows());
        return Err(Error::shape(OP, message));
    }
    if !x.device().same(segments.device()) {
        return Err(Error::MixedDevices { op: OP });
    }
    let shape = [segments.len(), columns];
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            let fill = |out: &mut [f32]| cpu::pool::pool(cpu, values, columns, segments, kind, out);
            Ok(cpu_tensor(x.device(), cpu, &shape, fill))
        }
        Backend::Gpu(gpu) => {
            let count = segments.len() * columns;
            let out = gpu.buffer(count)?;
            let offsets = segments.offsets(OP)?;
            let (code, skip_first, skip_last) = match kind {
                Pool::Mean { skip_first, skip_last } => (0, skip_first, skip_last),
                Pool::First => (1, 0, 0),
                Pool::Max => (2, 0, 0),
            };
            gpu.launch(&Launch {
                kernel: Kernel::new("pool", &[("KIND", code)]),
                parameters: &[
                    count as u32,
                    columns as u32,
                    skip_first as u32,
                    skip_last as u32,
                    f32::NAN.to_bits(),
                ],
                buffers: &[x.binding(OP)?, offsets, Binding::whole(&out)],
                groups: (count as u64).div_ceil(super::ELEMENTS),
                cost: Cost { flops: x.len() as f64, bytes: 4.0 * (x.len() + count) as f64 },
            })?;
            Ok(Tensor::from_gpu(x.device(), &shape, out))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    [0, 1, 2].map(|kind| Kernel::new("pool", &[("KIND", kind)])).to_vec()
}
