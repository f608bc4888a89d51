//! CPU twin of the rotary position embedding.

use super::Cpu;
use super::simd::vectorized;

/// By which angles rows turn.
pub(crate) struct Turns<'a> {
    /// `half` cosines for each position.
    pub(crate) cos: &'a [f32],
    pub(crate) sin: &'a [f32],
    /// Half the columns of a head.
    pub(crate) half: usize,
    /// One a row.
    pub(crate) positions: &'a [u32],
    /// 1, or -1 to turn back.
    pub(crate) direction: f32,
}

/// Turns the halves of every head of every row.
pub(crate) fn rotary(cpu: &Cpu, x: &[f32], columns: usize, turns: &Turns<'_>, out: &mut [f32]) {
    let half = turns.half;
    cpu.rows(out, columns, 2 * columns, 1, |first, out| {
        let rows = x[first * columns..].chunks_exact(columns).zip(&turns.positions[first..]);
        vectorized(
            #[inline(always)]
            || {
                for (out, (x, &position)) in out.chunks_exact_mut(columns).zip(rows) {
                    let cos = &turns.cos[position as usize * half..][..half];
                    let sin = &turns.sin[position as usize * half..][..half];
                    for (out, x) in out.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
                        let ((a, b), (left, right)) = (x.split_at(half), out.split_at_mut(half));
                        for i in 0..half {
                            let sine = sin[i] * turns.direction;
                            left[i] = a[i] * cos[i] - b[i] * sine;
                            right[i] = b[i] * cos[i] + a[i] * sine;
                        }
                    }
                }
            },
        );
    });
}
