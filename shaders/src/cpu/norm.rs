//! CPU twins of the normalisations of rows: layer, group and RMS norm, forward and backward.

use super::Cpu;
use super::reduce::BLOCK;
use super::simd::{dot, squared_distances, sum, vectorized};

/// What is normalised and how.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) x: &'a [f32],
    /// Added to `x` first.
    pub(crate) residual: Option<&'a [f32]>,
    /// One factor a column.
    pub(crate) gamma: &'a [f32],
    /// Groups of columns that are normalised on their own.
    pub(crate) parts: usize,
    /// Whether the mean is taken off.
    pub(crate) center: bool,
    pub(crate) eps: f32,
}

impl Norm<'_> {
    /// Columns of a group.
    fn width(&self) -> usize {
        self.gamma.len() / self.parts
    }

    /// Writes the input of the group that starts at `at`.
    #[inline(always)]
    fn gather(&self, at: usize, to: &mut [f32]) {
        let end = at + to.len();
        to.copy_from_slice(&self.x[at..end]);
        if let Some(residual) = self.residual {
            to.iter_mut().zip(&residual[at..end]).for_each(|(value, add)| *value += add);
        }
    }

    /// Mean (0 if it stays), and the factor that makes the variance 1.
    #[inline(always)]
    fn statistics(&self, values: &[f32]) -> (f32, f32) {
        let count = values.len() as f32;
        let mean = if self.center { sum(values) / count } else { 0.0 };
        let variance = squared_distances(values, mean) / count;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }
}

/// Writes the normalised rows, scaled by gamma and shifted by `beta`.
pub(crate) fn forward(cpu: &Cpu, norm: &Norm<'_>, beta: Option<&[f32]>, out: &mut [f32]) {
    let (width, columns) = (norm.width(), norm.gamma.len());
    cpu.rows(out, columns, 4 * columns, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (i, part) in out.chunks_exact_mut(width).enumerate() {
                    norm.gather(first * columns + i * width, part);
                    let (mean, scale) = norm.statistics(part);
                    let from = i % norm.parts * width;
                    let gamma = &norm.gamma[from..from + width];
                    match beta {
                        Some(beta) => {
                            let beta = &beta[from..from + width];
                            for ((value, gamma), beta) in part.iter_mut().zip(gamma).zip(beta) {
                                *value = ((*value - mean) * scale).mul_add(*gamma, *beta);
                            }
                        }
                        None => {
                            for (value, gamma) in part.iter_mut().zip(gamma) {
                                *value = (*value - mean) * scale * gamma;
                            }
                        }
                    }
                }
            },
        );
    });
}

/// Writes the gradient at the input: with n the normalised values and g = gradient gamma,
/// (g - mean(g) - n mean(g n)) / deviation, without the mean of g if the mean stays.
pub(crate) fn backward(cpu: &Cpu, norm: &Norm<'_>, gradient: &[f32], out: &mut [f32]) {
    let (width, columns) = (norm.width(), norm.gamma.len());
    cpu.rows(out, columns, 8 * columns, 1, |first, out| {
        let mut slopes = vec![0.0; width];
        vectorized(
            #[inline(always)]
            || {
                for (i, part) in out.chunks_exact_mut(width).enumerate() {
                    let at = first * columns + i * width;
                    norm.gather(at, part);
                    let (mean, scale) = norm.statistics(part);
                    part.iter_mut().for_each(|value| *value = (*value - mean) * scale);
                    let from = i % norm.parts * width;
                    let gamma = &norm.gamma[from..from + width];
                    for ((slope, gradient), gamma) in
                        slopes.iter_mut().zip(&gradient[at..at + width]).zip(gamma)
                    {
                        *slope = gradient * gamma;
                    }
                    let mean_slope = if norm.center { sum(&slopes) / width as f32 } else { 0.0 };
                    let mean_aligned = dot(&slopes, part) / width as f32;
                    for (value, slope) in part.iter_mut().zip(&slopes) {
                        *value = ((slope - mean_slope) - *value * mean_aligned) * scale;
                    }
                }
            },
        );
    });
}

/// Row i of `out` is the sum over rows `i * BLOCK..` of gradient times normalised value: the first step of the column sums
/// that are the gradient at gamma, in their order.
pub(crate) fn product_sums(cpu: &Cpu, norm: &Norm<'_>, gradient: &[f32], out: &mut [f32]) {
    let (width, columns) = (norm.width(), norm.gamma.len());
    cpu.rows(out, columns, 4 * columns * BLOCK, 1, |first, out| {
        let mut normed = vec![0.0; width];
        let blocks = gradient[first * BLOCK * columns..].chunks(BLOCK * columns);
        vectorized(
            #[inline(always)]
            || {
                for (i, (sums, gradient)) in out.chunks_exact_mut(columns).zip(blocks).enumerate() {
                    sums.fill(0.0);
                    for (part, gradient) in gradient.chunks_exact(width).enumerate() {
                        norm.gather((first + i) * BLOCK * columns + part * width, &mut normed);
                        let (mean, scale) = norm.statistics(&normed);
                        let sums = &mut sums[part % norm.parts * width..][..width];
                        for ((sum, value), gradient) in sums.iter_mut().zip(&normed).zip(gradient) {
                            *sum += gradient * ((*value - mean) * scale);
                        }
                    }
                }
            },
        );
    });
}
