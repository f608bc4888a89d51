//! The backward pass of attention on either backend.

use std::ops::Range;

use super::pieces::{self, Piece, Window};
use super::variant::{Pass, Variant, choose};
use super::{OP, parameters};
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
        self.at_queries(gpu, gradient, &stats, &results[0])?;
        self.at_keys(gpu, gradient, &stats, &[&results[1], &results[2]])?;
        Ok(results)
    }

    /// Rows that can be bound: the statistics hold two values for each head.
    fn windows(&self, gpu: &Gpu) -> Result<Vec<Window>> {
        pieces::windows(gpu, &self.segments, self.shape.width().max(2 * self.shape.heads))
    }

    fn at_queries(&self, gpu: &Gpu, gradient: &Tensor, stats: &Tensor, dq: &Tensor) -> Result<()> {
        let mut chosen = None;
        for window in self.windows(gpu)? {
            for (number, piece) in window.pieces.iter().enumerate() {
                let going = [number > 0, number + 1 < window.pieces.len()];
                let (queries, keys) = (&window.rows, &piece.others);
                let step = Step { pass: Pass::Queries, queries, keys, going, heads: 0..1 };
                self.run(gpu, [gradient, stats], &[dq], piece, &step, &mut chosen)?;
            }
        }
        Ok(())
    }

    /// The walk goes over the query heads that share a key head, and over the queries of each.
    fn at_keys(&self, gpu: &Gpu, gradient: &Tensor, stats: &Tensor, results: &[&Tensor]) -> Result<()> {
        let share = self.shape.heads / self.shape.kv_heads;
        let mut chosen = None;
        for window in self.windows(gpu)? {
            let one = window.pieces.len() == 1;
            let turns: Vec<Range<usize>> = if one {
                std::iter::once(0..share).collect()
            } else {
                (0..share).map(|i| i..i + 1).collect()
            };
            let steps: Vec<_> = turns
                .iter()
                .flat_map(|heads| window.pieces.iter().map(move |piece| (heads, piece)))
                .collect();
            for (number, (heads, piece)) in steps.iter().enumerate() {
                let going = [number > 0, number + 1 < steps.len()];
                let (queries, keys, heads) = (&piece.others, &window.rows, (*heads).clone());
                let step = Step { pass: Pass::Keys, queries, keys, going, heads };
                self.run(gpu, [gradient, stats], results, piece, &step, &mut chosen)?;
            }
        }
        Ok(())
    }

    fn run(
        &self,
        gpu: &Gpu,
        [gradient, stats]: [&Tensor; 2],
        results: &[&Tensor],
        piece: &Piece,
        step: &Step<'_>,
        chosen: &mut Option<Variant>,
    ) -> Result<()> {
        let ([q, k, v], shape) = (&self.operands, &self.shape);
        let mut buffers = vec![
            q.window(OP, step.queries)?,
            k.window(OP, step.keys)?,
            v.window(OP, step.keys)?,
            piece.tiles(OP)?,
            gradient.window(OP, step.queries)?,
            stats.window(OP, step.queries)?,
        ];
        let rows = if step.pass == Pass::Keys { step.keys } else { step.queries };
        for result in results {
            buffers.push(result.window(OP, rows)?);
        }
        let ahead = step.queries.start as i32 - step.keys.start as i32;
        let parameters = parameters(shape, ahead, step.going, step.heads.clone());
        let (heads, products) =
            if step.pass == Pass::Keys { (shape.kv_heads, 8 * step.heads.len()) } else { (shape.heads, 6) };
        let cost = Cost {
            flops: products as f64 * piece.pairs * (heads * shape.head_width) as f64,
            bytes: 24.0 * (rows.len() * shape.width()) as f64,
        };
        let parts = step.going != [false; 2];
        let launch = |variant: Variant| Launch {
            kernel: variant.backward(step.pass, shape.head_width, shape.causal, parts),
            parameters: &parameters,
            buffers: &buffers,
            groups: (variant.groups() * piece.tile_count() * heads) as u64,
            cost,
        };
        // One choice for all launches of a pass; the first starts its sums, so it can be repeated.
        let variant = match *chosen {
            Some(variant) => variant,
            None => {
                let time = |variant| Ok(gpu.time(&launch(variant))?);
                *chosen.insert(choose(gpu, shape, step.pass, self.segments.rows(), cost.flops, time)?)
            }
        };
        Ok(gpu.launch(&launch(variant))?)
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

/// One launch of one of the two backward kernels.
struct Step<'a> {
    pass: Pass,
    /// Rows to bind.
    queries: &'a Range<usize>,
    keys: &'a Range<usize>,
    /// Whether it goes on from the sums of an earlier launch, and a later one from its sums.
    going: [bool; 2],
    /// Which of the query heads that share a key head.
    heads: Range<usize>,
}
