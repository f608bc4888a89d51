//! CPU twin of layer normalisation.

use super::Cpu;
use super::simd::{squared_distances, sum, vectorized};

/// Normalises each row of `x` (plus `residual`) to mean 0 and variance 1, then scales by `gamma` and shifts by `beta`.
pub(crate) fn layer_norm(
    cpu: &Cpu,
    x: &[f32],
    residual: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    let width = gamma.len();
    cpu.rows(out, width, 4 * width, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (i, row) in out.chunks_exact_mut(width).enumerate() {
                    let at = (first + i) * width;
                    row.copy_from_slice(&x[at..at + width]);
                    if let Some(residual) = residual {
                        row.iter_mut().zip(&residual[at..at + width]).for_each(|(value, add)| *value += add);
                    }
                    let mean = sum(row) / width as f32;
                    let variance = squared_distances(row, mean) / width as f32;
                    let scale = 1.0 / (variance + eps).sqrt();
                    for ((value, gamma), beta) in row.iter_mut().zip(gamma).zip(beta) {
                        *value = ((*value - mean) * scale).mul_add(*gamma, *beta);
                    }
                }
            },
        );
    });
}
