//! Pooling with a weight for each row.

use super::forward::{Reduction, reduce};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Cost, Launch};
use crate::kernels::Kernel;
use crate::ops::ragged::{self, Plan, Span};
use crate::ops::sparse::{Csr, EmptyRow, dots, multiply};
use crate::ops::{ELEMENTS, cpu_tensor};
use crate::segments::Segments;
use crate::tape::record;
use crate::tensor::Tensor;

const OP: &str = "weighted_pool";

/// The weighted mean of the rows of each segment of `x` `[rows, columns]`: ∑ wᵢ xᵢ / ∑ wᵢ with `weights` `[rows]`, as
/// `[segments, columns]`. Weights need not add up to one; attention weights that do are left as they are but for rounding.
/// A segment without rows, or whose weights add up to 0, gives not a number. Both operands get gradients.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn weighted_pool(x: &Tensor, weights: &Tensor, segments: &Segments) -> Result<Tensor> {
    let (rows, _) = x.matrix(OP, "x")?;
    segments.expect(OP, "x", x)?;
    weights.expect_vector(OP, "weights", rows)?;
    x.device().expect_home(OP, &[weights])?;
    let matrix = Csr::of_segments(segments)?;
    let totals = totals(&weights.detach(), segments)?;
    let shares = shares(&matrix, &weights.detach(), None, &totals)?;
    let out = multiply(&shares, matrix.by_rows(), x, EmptyRow::NotANumber)?;
    Ok(record(out, [x, weights], |[at_x, at_weights]| {
        let x = at_weights.then(|| x.detach());
        move |gradient: &Tensor| {
            let at_x = if at_x {
                Some(multiply(&shares, &*matrix.by_columns()?, gradient, EmptyRow::Zero)?)
            } else {
                None
            };
            let at_weights = match x {
                Some(x) => {
                    // At a share: its row times the gradient; sharing takes out the mean of that over the segment.
                    let slopes = dots(&matrix, gradient, &x)?;
                    let column = slopes.reshape(&[slopes.len(), 1])?;
                    let mean = multiply(&shares, matrix.by_rows(), &column, EmptyRow::Zero)?;
                    Some(self::shares(&matrix, &slopes, Some(&mean), &totals)?)
                }
                None => None,
            };
            Ok([at_x, at_weights])
        }
    }))
}

/// The sum of the weights of each segment, `[segments, 1]`.
fn totals(weights: &Tensor, segments: &Segments) -> Result<Tensor> {
    let most = ragged::bindable(weights.device(), 1);
    let plan = Plan::new(segments.ranges().map(|range| (range, 1)).collect(), 1, most);
    let column = weights.reshape(&[weights.len(), 1])?;
    match &plan.blocks {
        None => reduce(&column, &plan.ranges, ragged::BLOCK, Reduction::Mean),
        Some(blocks) => {
            let partial = reduce(&column, blocks, ragged::BLOCK, Reduction::Mean)?;
            reduce(&partial, &plan.ranges, 1, Reduction::Mean)
        }
    }
}

/// (x - shift) / scale, with `x` a value for each row and `shift` and `scale` values for each segment.
fn shares(matrix: &Csr, x: &Tensor, shift: Option<&Tensor>, scale: &Tensor) -> Result<Tensor> {
    let rows = matrix.row_of();
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, divisor) = (x.host(OP)?, scale.host(OP)?);
            let shift = shift.map(|shift| shift.host(OP)).transpose()?;
            let fill = |out: &mut [f32]| cpu::sparse::shares(cpu, values, shift, divisor, rows.values(), out);
            Ok(cpu_tensor(x.device(), cpu, x.shape(), fill))
        }
        Backend::Gpu(gpu) => {
            let count = x.len();
            let out = gpu.buffer(count)?;
            let owners: Vec<_> = rows.values().iter().map(|&row| row as usize..row as usize + 1).collect();
            let numbers = ragged::one_each(count);
            let (owners, own) = (Span::new(&owners, 1), Span::new(&numbers, 1));
            for run in ragged::runs(gpu, &[&owners, &own])? {
                let (divisors, first_segment) = owners.window(scale.buffer(OP)?, &run);
                let ((from, first), (to, _)) = (own.window(x.buffer(OP)?, &run), own.window(&out, &run));
                let mut buffers = vec![from, divisors, rows.part(OP, &run, 1)?.0, to];
                if let Some(shift) = shift {
                    buffers.push(owners.window(shift.buffer(OP)?, &run).0);
                }
                let count = run.len();
                gpu.launch(&Launch {
                    kernel: Kernel::new("segment_shares", &[("SHIFT", u32::from(shift.is_some()))]),
                    parameters: &[count as u32, run.start as u32 - first, first_segment],
                    buffers: &buffers,
                    groups: (count as u64).div_ceil(ELEMENTS),
                    cost: Cost { flops: 2.0 * count as f64, bytes: 20.0 * count as f64 },
                })?;
            }
            Ok(Tensor::from_gpu(x.device(), x.shape(), out))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    [0, 1].map(|shift| Kernel::new("segment_shares", &[("SHIFT", shift)])).to_vec()
}
