//! Reading a result while later work is already recorded.

use crate::device::{Backend, Device};
use crate::error::Result;
use crate::gpu::Readback;
use crate::tensor::Tensor;

/// Values of a tensor on their way to the host. Work that is recorded between [`Tensor::read_later`] and
/// [`Reading::finish`] overlaps with the copy.
pub struct Reading {
    device: Device,
    source: Source,
}

enum Source {
    /// Copies of a GPU.
    Copy(Readback),
    /// Values of the CPU backend, and 16-bit values, are read at the end.
    Tensor(Tensor),
}

impl Tensor {
    /// Starts copying the values to the host, after all work recorded so far.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub fn read_later(&self) -> Result<Reading> {
        const OP: &str = "read_later";
        let source = match self.device().backend() {
            Backend::Gpu(gpu) if self.expect_f32(OP).is_ok() => {
                Source::Copy(gpu.read_later(self.buffer(OP)?, self.len() as u64 * 4)?)
            }
            _ => Source::Tensor(self.detach()),
        };
        Ok(Reading { device: self.device().clone(), source })
    }
}

impl Reading {
    /// Waits for the copy. The values are in row-major order.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub fn finish(self) -> Result<Vec<f32>> {
        match self.source {
            Source::Copy(copy) => {
                Ok(bytemuck::pod_collect_to_vec(&self.device.gpu("read_later")?.finish_read(copy)?))
            }
            Source::Tensor(tensor) => tensor.read(),
        }
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("device", &self.device).finish_non_exhaustive()
    }
}
