//! CPU twin of pooling over ragged segments.

use super::Cpu;
use super::simd::vectorized;
use crate::ops::Pool;
use crate::segments::Segments;

/// Rows that are summed before the sum is added to the total: keeps the rounding error of long segments small.
pub(crate) const MEAN_BLOCK: usize = 32;

/// One row of `out` per segment.
pub(crate) fn pool(cpu: &Cpu, x: &[f32], width: usize, segments: &Segments, kind: Pool, out: &mut [f32]) {
    let longest = segments.ranges().map(|range| range.len()).max().unwrap_or(0);
    cpu.rows(out, width, width * longest, 1, |first, out| {
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            let range = segments.range(first + i);
            let rows = match kind {
                Pool::Mean { skip_first, skip_last } => {
                    let start = range.start + skip_first;
                    start..range.end.saturating_sub(skip_last).max(start)
                }
                Pool::First => range.start..range.end.min(range.start + 1),
                Pool::Max => range,
            };
            if rows.is_empty() {
                out.fill(f32::NAN);
                continue;
            }
            let x = &x[rows.start * width..rows.end * width];
            vectorized(
                #[inline(always)]
                || match kind {
                    Pool::Mean { .. } => mean(x, rows.len(), out),
                    Pool::First => out.copy_from_slice(x),
                    Pool::Max => max(x, out),
                },
            );
        }
    });
}

#[inline(always)]
fn mean(x: &[f32], rows: usize, out: &mut [f32]) {
    let width = out.len();
    let mut partial = vec![0.0; width];
    out.fill(0.0);
    for block in x.chunks(MEAN_BLOCK * width) {
        partial.fill(0.0);
        for row in block.chunks_exact(width) {
            partial.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        out.iter_mut().zip(&partial).for_each(|(sum, value)| *sum += value);
    }
    let count = rows as f32;
    out.iter_mut().for_each(|sum| *sum /= count);
}

#[inline(always)]
fn max(x: &[f32], out: &mut [f32]) {
    out.fill(f32::NEG_INFINITY);
    for row in x.chunks_exact(out.len()) {
        for (max, &value) in out.iter_mut().zip(row) {
            // Not a number stays once it is there.
            *max = if value > *max || value.is_nan() { value } else { *max };
        }
    }
}
