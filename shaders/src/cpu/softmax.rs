//! CPU twins of the softmax of rows.

use super::Cpu;
use super::math::exp;
use super::simd::{dot, max, sum, vectorized};

/// Each row of `out` is the softmax of the row of `x`.
pub(crate) fn forward(cpu: &Cpu, x: &[f32], columns: usize, out: &mut [f32]) {
    cpu.rows(out, columns, 8 * columns, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (row, x) in out.chunks_exact_mut(columns).zip(x[first * columns..].chunks_exact(columns))
                {
                    // A row of nothing but -inf gives -inf - -inf, not a number.
                    let largest = max(x);
                    for (weight, x) in row.iter_mut().zip(x) {
                        *weight = exp(x - largest);
                    }
                    let total = sum(row);
                    row.iter_mut().for_each(|weight| *weight /= total);
                }
            },
        );
    });
}

/// Each row of `out` is y (gradient - Σ gradient y).
pub(crate) fn backward(cpu: &Cpu, gradient: &[f32], y: &[f32], columns: usize, out: &mut [f32]) {
    cpu.rows(out, columns, 3 * columns, 1, |first, out| {
        let rows =
            gradient[first * columns..].chunks_exact(columns).zip(y[first * columns..].chunks_exact(columns));
        vectorized(
            #[inline(always)]
            || {
                for (row, (gradient, y)) in out.chunks_exact_mut(columns).zip(rows) {
                    let shared = dot(gradient, y);
                    for ((value, gradient), y) in row.iter_mut().zip(gradient).zip(y) {
                        *value = y * (gradient - shared);
                    }
                }
            },
        );
    });
}
