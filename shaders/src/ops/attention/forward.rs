//! The forward pass of attention on either backend.

use super::pieces;
use super::variant::{Pass, Variant, choose};
use super::{OP, parameters};
use crate::cpu::attention::Shape;
use crate::cpu::{self, CpuBuffer};
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
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
    operands: [&Tensor; 3],
    segments: &Segments,
    out: &Tensor,
    lse: Option<&Tensor>,
) -> Result<()> {
    let (heads, width) = (shape.heads, shape.width());
    let windows = pieces::windows(gpu, segments, width.max(2 * heads))?;
    let mut chosen = None;
    for window in &windows {
        let parts = window.pieces.len() > 1;
        let state = parts.then(|| gpu.buffer(window.rows.len() * 2 * heads)).transpose()?;
        for (number, piece) in window.pieces.iter().enumerate() {
            let [q, k, v] = operands;
            let mut buffers = vec![
                q.window(OP, &window.rows)?,
                k.window(OP, &piece.others)?,
                v.window(OP, &piece.others)?,
                piece.tiles(OP)?,
                out.window(OP, &window.rows)?,
            ];
            if let Some(lse) = lse {
                buffers.push(lse.window(OP, &window.rows)?);
            }
            buffers.extend(state.as_ref().map(Binding::whole));
            let ahead = window.rows.start as i32 - piece.others.start as i32;
            let going = [number > 0, number + 1 < window.pieces.len()];
            let work = Cost {
                flops: 4.0 * piece.pairs * width as f64,
                bytes: 16.0 * (window.rows.len() * width) as f64,
            };
            let parameters = parameters(shape, ahead, going, 0..1);
            let launch = |variant: Variant| Launch {
                kernel: variant.forward(shape.head_width, shape.causal, lse.is_some(), parts),
                parameters: &parameters,
                buffers: &buffers,
                groups: (variant.groups() * piece.tile_count() * heads) as u64,
                cost: work,
            };
            // One choice for all pieces; the first starts its sums, so it can be repeated.
            let variant = match chosen {
                Some(variant) => variant,
                None => {
                    let time = |variant| Ok(gpu.time(&launch(variant))?);
                    *chosen.insert(choose(gpu, shape, Pass::Forward, segments.rows(), work.flops, time)?)
                }
            };
            gpu.launch(&launch(variant))?;
        }
    }
    Ok(())
}
