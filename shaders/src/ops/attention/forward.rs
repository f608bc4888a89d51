//! The forward pass of attention on either backend.

use super::{OP, constants, parameters};
use crate::cpu::attention::Shape;
use crate::cpu::{self, CpuBuffer};
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// The result and, with `save`, the base 2 logarithms of the sums of the exponentials, `[rows, heads]`.
pub(super) fn forward(
    shape: &Shape,
    operands: [&Tensor; 3],
    segments: &Segments,
    save: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let [q, k, v] = operands;
    let lse_shape = [segments.rows(), shape.heads];
    match q.device().backend() {
        Backend::Cpu(cpu) => {
            let mut out = cpu.result(q.len());
            let mut lse = save.then(|| cpu.result(lse_shape[0] * lse_shape[1]));
            let hosts = [q.host(OP)?, k.host(OP)?, v.host(OP)?];
            out.check()?;
            lse.as_ref().map_or(Ok(()), CpuBuffer::check)?;
            if out.has_memory() {
                let lse = lse.as_mut().map(CpuBuffer::values_mut);
                cpu::attention::forward(cpu, shape, hosts, segments, out.values_mut(), lse);
            }
            let out = Tensor::from_cpu(q.device(), q.shape(), out);
            Ok((out, lse.map(|lse| Tensor::from_cpu(q.device(), &lse_shape, lse))))
        }
        Backend::Gpu(gpu) => {
            let out = Tensor::from_gpu(q.device(), q.shape(), gpu.buffer(q.len())?);
            let buffer = save.then(|| gpu.buffer(lse_shape[0] * lse_shape[1])).transpose()?;
            let lse = buffer.map(|buffer| Tensor::from_gpu(q.device(), &lse_shape, buffer));
            launch(gpu, shape, operands, segments, &out, lse.as_ref())?;
            Ok((out, lse))
        }
    }
}

fn launch(
    gpu: &Gpu,
    shape: &Shape,
    [q, k, v]: [&Tensor; 3],
    segments: &Segments,
    out: &Tensor,
    lse: Option<&Tensor>,
) -> Result<()> {
    let width = shape.width();
    for window in segments.windows(gpu, width)? {
        let rows = &window.rows;
        let mut buffers = vec![
            q.window(OP, rows)?,
            k.window(OP, rows)?,
            v.window(OP, rows)?,
            window.tiles(OP)?,
            out.window(OP, rows)?,
        ];
        if let Some(lse) = lse {
            buffers.push(lse.window(OP, rows)?);
        }
        gpu.launch(&Launch {
            kernel: kernel(gpu.tiled(), shape.head_width, shape.causal, lse.is_some()),
            parameters: &parameters(shape),
            buffers: &buffers,
            groups: (window.tile_count() * shape.heads) as u64,
            cost: Cost {
                flops: 4.0 * window.pairs * width as f64,
                bytes: 16.0 * (rows.len() * width) as f64,
            },
        })?;
    }
    Ok(())
}

fn kernel(tiled: bool, head_width: usize, causal: bool, save: bool) -> Kernel {
    let mut constants = constants(head_width, causal);
    constants.push(("LSE", u32::from(save)));
    if tiled {
        // Two tiles of keys and values fill the 16 KiB of workgroup memory that WebGPU guarantees.
        constants.push(("KEYS", if head_width <= 64 { 32 } else { 16 }));
        return Kernel::new("attention_tile", &constants);
    }
    // Queries of one invocation: more reuse of each key, but code that compiles for long.
    let queries = match head_width {
        ..=64 => 4,
        _ if head_width.is_multiple_of(4) => 2,
        _ => 1,
    };
    constants.push(("QUERIES", queries));
    Kernel::new("attention_direct", &constants)
}

/// The kernels of this file, in all variants for typical head widths.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for head_width in [4, 10, 16, 20, 32, 64, 80, 96, 127, 128] {
        for (causal, save) in [(false, false), (true, false), (false, true), (true, true)] {
            // What is saved does not depend on the width of the head.
            if !save || [10, 64].contains(&head_width) {
                kernels.extend([true, false].map(|tiled| kernel(tiled, head_width, causal, save)));
            }
        }
    }
    kernels
}
