//! CPU twin of the copies of columns.

use super::Cpu;
use crate::ops::Copy;

/// Writes the columns `copy.to` of `out` from columns of `x`, 0 where `x` has none.
pub(crate) fn copy(cpu: &Cpu, x: &[f32], columns: usize, copy: &Copy, out: &mut [f32]) {
    let (width, shift) = (copy.width, copy.shift);
    // Where in `to` the source begins and ends.
    let begin = usize::try_from(-shift).unwrap_or(0).min(copy.to.len());
    let end = usize::try_from(columns as isize - shift).unwrap_or(0).clamp(begin, copy.to.len());
    let source = usize::try_from(shift).unwrap_or(0);
    cpu.rows(out, width, copy.to.len(), 1, |first, out| {
        for (out, row) in out.chunks_exact_mut(width).zip(first..) {
            let out = &mut out[copy.to.clone()];
            out[..begin].fill(0.0);
            out[begin..end].copy_from_slice(&x[row * columns + source..][..end - begin]);
            out[end..].fill(0.0);
        }
    });
}
