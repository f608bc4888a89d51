//! The backward pass of attention on either backend.

use super::{OP, constants, parameters};
use crate::cpu::attention::{Saved, Shape};
use crate::cpu::{self, CpuBuffer};
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// What the backward pass needs.
pub(super) struct Kept {
    pub(super) shape: Shape,
    /// q, k and v.
    pub(super) operands: [Tensor; 3],
    pub(super) out: Tensor,
    pub(super) lse: Tensor,
    pub(super) segments: Segments,
}

impl Kept {
    /// The gradients of q, k and v, given that of the result.
    pub(super) fn backward(&self, gradient: &Tensor) -> Result<[Tensor; 3]> {
        gradient.expect_like(OP, "gradient", &self.out)?;
        match gradient.device().backend() {
            Backend::Cpu(cpu) => {
                let [q, k, v] = &self.operands;
                let saved = Saved {
                    q: q.host(OP)?,
                    k: k.host(OP)?,
                    v: v.host(OP)?,
                    out: self.out.host(OP)?,
                    lse: self.lse.host(OP)?,
                    gradient: gradient.host(OP)?,
                };
                let mut results = [q, k, v].map(|operand| cpu.result(operand.len()));
                results.iter().try_for_each(CpuBuffer::check)?;
                if results.iter().all(CpuBuffer::has_memory) {
                    let results = results.each_mut().map(CpuBuffer::values_mut);
                    cpu::attention::backward(cpu, &self.shape, saved, &self.segments, results);
                }
                let [dq, dk, dv] = results;
                let tensor = |like: &Tensor, result| Tensor::from_cpu(q.device(), like.shape(), result);
                Ok([tensor(q, dq), tensor(k, dk), tensor(v, dv)])
            }
            Backend::Gpu(gpu) => self.launch(gpu, gradient),
        }
    }

    fn launch(&self, gpu: &Gpu, gradient: &Tensor) -> Result<[Tensor; 3]> {
        let [q, k, v] = &self.operands;
        let stats = self.stats(gpu, gradient)?;
        let result = |like: &Tensor| -> Result<Tensor> {
            Ok(Tensor::from_gpu(like.device(), like.shape(), gpu.buffer(like.len())?))
        };
        let results = [result(q)?, result(k)?, result(v)?];
        let width = self.shape.width();
        // The statistics hold two values for each head.
        for window in self.segments.windows(gpu, width.max(2 * self.shape.heads))? {
            let rows = &window.rows;
            let shared = [
                q.window(OP, rows)?,
                k.window(OP, rows)?,
                v.window(OP, rows)?,
                window.tiles(OP)?,
                gradient.window(OP, rows)?,
                stats.window(OP, rows)?,
            ];
            let written: Vec<_> =
                results.iter().map(|result| result.window(OP, rows)).collect::<Result<_>>()?;
            let (into_q, into_kv) = written.split_at(1);
            for (keys, written, heads, products) in
                [(false, into_q, self.shape.heads, 6.0), (true, into_kv, self.shape.kv_heads, 8.0)]
            {
                gpu.launch(&Launch {
                    kernel: kernel(keys, self.shape.head_width, self.shape.causal),
                    parameters: &parameters(&self.shape),
                    buffers: &[&shared[..], written].concat(),
                    // Half a tile for each workgroup.
                    groups: 2 * (window.tile_count() * heads) as u64,
                    cost: Cost {
                        flops: products * window.pairs * width as f64,
                        bytes: 24.0 * (rows.len() * width) as f64,
                    },
                })?;
            }
        }
        Ok(results)
    }

    /// For each row and head, the saved logarithm and the product of the result with its gradient: one buffer instead of
    /// two, because kernels may bind eight.
    fn stats(&self, gpu: &Gpu, gradient: &Tensor) -> Result<Tensor> {
        let (rows, heads) = (self.segments.rows(), self.shape.heads);
        let stats = Tensor::from_gpu(self.out.device(), &[rows, 2 * heads], gpu.buffer(rows * 2 * heads)?);
        let width = self.shape.width();
        for window in gpu.windows(rows, width.max(2 * heads))? {
            let count = window.len() * heads;
            gpu.launch(&Launch {
                kernel: Kernel::new("attention_stats", &[]),
                parameters: &[count as u32, self.shape.head_width as u32],
                buffers: &[
                    self.out.window(OP, &window)?,
                    gradient.window(OP, &window)?,
                    self.lse.window(OP, &window)?,
                    stats.window(OP, &window)?,
                ],
                groups: (count as u64).div_ceil(256),
                cost: Cost {
                    flops: (2 * count * self.shape.head_width) as f64,
                    bytes: (8 * window.len() * width) as f64,
                },
            })?;
        }
        Ok(stats)
    }
}

/// The kernel for the gradients of keys and values, or of queries. There is one variant, with tiles in workgroup memory for
/// hardware. A software driver runs it at the speed of the forward kernel with such tiles, a third of the direct one's:
/// enough for tests, and training without a GPU is the business of the native backend, two hundred times faster.
fn kernel(keys: bool, head_width: usize, causal: bool) -> Kernel {
    let mut constants = constants(head_width, causal);
    // Vectors of columns of one of the eight invocations that share four rows.
    constants.push(("TURNS", head_width.div_ceil(32) as u32));
    Kernel::new(if keys { "attention_backward_kv" } else { "attention_backward_q" }, &constants)
}

/// The kernels of this file, in all variants for typical head widths.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![Kernel::new("attention_stats", &[])];
    for head_width in [4, 10, 16, 20, 32, 64, 80, 96, 127, 128] {
        for causal in [false, true] {
            kernels.extend([false, true].map(|keys| kernel(keys, head_width, causal)));
        }
    }
    kernels
}
