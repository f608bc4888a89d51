//! One row for each segment: mean, largest values, first row.

use std::ops::Range;

use super::backward::{backward_of_max, spread};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::ops::ragged::{self, Item, Plan, Span};
use crate::ops::{ELEMENTS, cpu_tensor};
use crate::segments::Segments;
use crate::tape::record;
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
    /// The largest value of each column among the rows between the first `skip_first` and the last `skip_last`. The
    /// gradient goes to the first row that has it, as in torch's `max` over an axis; not a number is larger than everything.
    Max {
        /// Rows left out at the start.
        skip_first: usize,
        /// Rows left out at the end.
        skip_last: usize,
    },
}

impl Pool {
    /// Rows of a segment that are pooled.
    pub(super) fn kept(self, segment: Range<usize>) -> Range<usize> {
        match self {
            Pool::Mean { skip_first, skip_last } | Pool::Max { skip_first, skip_last } => {
                let start = segment.start.saturating_add(skip_first).min(segment.end);
                start..segment.end.saturating_sub(skip_last).max(start)
            }
            Pool::First => segment.start..segment.end.min(segment.start + 1),
        }
    }
}

/// One row per segment of `x` `[rows, columns]`. A segment without rows to pool gives not a number.
///
/// Long segments are cut into blocks that are pooled in parallel, in an order that depends on the segment alone.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn pool(x: &Tensor, segments: &Segments, kind: Pool) -> Result<Tensor> {
    const OP: &str = "pool";
    let (_, columns) = x.matrix(OP, "x")?;
    segments.expect(OP, "x", x)?;
    let kept = segments.ranges().map(|segment| kind.kept(segment));
    let ranges = kept.map(|range| (range.clone(), range.len() as u32)).collect();
    let plan = Plan::new(ranges, columns, ragged::bindable(x.device(), columns));
    let reduction = if matches!(kind, Pool::Mean { .. }) { Reduction::Mean } else { Reduction::Max };
    let out = match &plan.blocks {
        None => reduce(x, &plan.ranges, ragged::BLOCK, reduction)?,
        Some(blocks) => reduce(&reduce(x, blocks, ragged::BLOCK, reduction)?, &plan.ranges, 1, reduction)?,
    };
    let searched = matches!(kind, Pool::Max { .. }).then(|| (x.detach(), out.detach()));
    Ok(record(out, [x], |_| {
        let segments = segments.clone();
        move |gradient: &Tensor| {
            let slope = match &searched {
                Some((x, pooled)) => backward_of_max(x, pooled, gradient, &segments, kind)?,
                None => spread(gradient, &segments, kind)?,
            };
            Ok([Some(slope)])
        }
    }))
}

/// What is done with the rows of a range.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// The sum divided by the third number of the item; not a number where that is 0.
    Mean,
    /// The largest value of each column; not a number where the third number of the item is 0.
    Max,
}

/// One row for each item of `x`, in blocks of `block` rows.
pub(in crate::ops) fn reduce(
    x: &Tensor,
    items: &[Item],
    block: usize,
    reduction: Reduction,
) -> Result<Tensor> {
    const OP: &str = "pool";
    let (_, columns) = x.matrix(OP, "x")?;
    let shape = [items.len(), columns];
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            let fill =
                |out: &mut [f32]| cpu::pool::reduce(cpu, values, columns, items, block, reduction, out);
            Ok(cpu_tensor(x.device(), cpu, &shape, fill))
        }
        Backend::Gpu(gpu) => reduce_on(gpu, x, items, block, reduction),
    }
}

fn reduce_on(gpu: &Gpu, x: &Tensor, items: &[Item], block: usize, reduction: Reduction) -> Result<Tensor> {
    const OP: &str = "pool";
    let (_, columns) = x.matrix(OP, "x")?;
    let out = gpu.buffer(items.len() * columns)?;
    let list = ragged::upload(x.device(), items)?;
    let (rows, numbers) = (ragged::rows_of(items), ragged::one_each(items.len()));
    let (inputs, outputs) = (Span::new(&rows, columns), Span::new(&numbers, columns));
    for run in ragged::runs(gpu, &[&inputs, &outputs])? {
        let (from, first_row) = inputs.window(x.buffer(OP)?, &run);
        // The results begin where the list does.
        let ((to, _), (list, first_item)) = (outputs.window(&out, &run), list.part(OP, &run, 4)?);
        let count = run.len() * columns;
        let read = inputs.touched(&run).len() * columns;
        gpu.launch(&Launch {
            kernel: Kernel::new("pool", &[("MAX", u32::from(reduction == Reduction::Max))]),
            parameters: &[
                count as u32,
                columns as u32,
                (run.start - first_item) as u32,
                first_row,
                block as u32,
                f32::NAN.to_bits(),
            ],
            buffers: &[from, list, to],
            groups: (count as u64).div_ceil(ELEMENTS),
            cost: Cost { flops: read as f64, bytes: 4.0 * (read + count) as f64 },
        })?;
    }
    Ok(Tensor::from_gpu(x.device(), &[items.len(), columns], out))
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    [0, 1].map(|max| Kernel::new("pool", &[("MAX", max)])).to_vec()
}
