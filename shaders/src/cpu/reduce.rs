//! CPU twin of the column sum: sums of [`BLOCK`] rows, then sums of those, and so on, as on the GPU.

use super::Cpu;
use super::simd::vectorized;
use crate::ops::Term;

/// Rows that one step sums in order.
pub(crate) const BLOCK: usize = 256;

/// One step: row i of `out` is the sum of rows `i * BLOCK..` of `x`, or of their squares. The last row may be incomplete.
pub(crate) fn sum_blocks(cpu: &Cpu, x: &[f32], width: usize, term: Term, out: &mut [f32]) {
    cpu.rows(out, width, width * BLOCK, 1, |first, out| {
        let blocks = x[(first * BLOCK * width).min(x.len())..].chunks(BLOCK * width);
        for (out, block) in out.chunks_exact_mut(width).zip(blocks) {
            out.fill(0.0);
            vectorized(
                #[inline(always)]
                || match term {
                    Term::Value => {
                        for row in block.chunks(width) {
                            out.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                        }
                    }
                    Term::Square => {
                        for row in block.chunks(width) {
                            out.iter_mut()
                                .zip(row)
                                .for_each(|(sum, value)| *sum = value.mul_add(*value, *sum));
                        }
                    }
                },
            );
        }
    });
}

/// Every row of `out` is `row`.
pub(crate) fn broadcast(cpu: &Cpu, row: &[f32], out: &mut [f32]) {
    cpu.rows(out, row.len(), row.len(), 1, |_, out| {
        if let [value] = row {
            out.fill(*value);
            return;
        }
        out.chunks_exact_mut(row.len()).for_each(|out| out.copy_from_slice(row));
    });
}
