//! CPU twin of the column sum: sums of [`BLOCK`] rows, then sums of those, and so on, as on the GPU.

use super::Cpu;
use super::simd::vectorized;

/// Rows that one step sums in order.
pub(crate) const BLOCK: usize = 256;

/// One step: row i of `out` is the sum of rows `i * BLOCK..` of `x`.
pub(crate) fn sum_blocks(cpu: &Cpu, x: &[f32], width: usize, out: &mut [f32]) {
    cpu.rows(out, width, width * BLOCK, 1, |first, out| {
        let blocks = x[first * BLOCK * width..].chunks(BLOCK * width);
        for (out, block) in out.chunks_exact_mut(width).zip(blocks) {
            out.fill(0.0);
            vectorized(
                #[inline(always)]
                || {
                    for row in block.chunks_exact(width) {
                        out.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                    }
                },
            );
        }
    });
}
