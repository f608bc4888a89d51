//! CPU twins of the element-wise kernels.

use super::Cpu;
use super::simd::{dot, vectorized};

/// Work of one value of a simple loop, in units of a multiply-add.
const LIGHT: usize = 1;
/// Work of one value with an exponential.
pub(super) const HEAVY: usize = 8;

/// out = combine(a, b), value by value.
fn pairs(cpu: &Cpu, a: &[f32], b: &[f32], out: &mut [f32], combine: impl Fn(f32, f32) -> f32 + Sync) {
    cpu.rows(out, 1, LIGHT, 64, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for ((out, a), b) in out.iter_mut().zip(&a[first..]).zip(&b[first..]) {
                    *out = combine(*a, *b);
                }
            },
        );
    });
}

/// Every row of out is combine(row of x, `row`), value by value.
fn with_row(cpu: &Cpu, x: &[f32], row: &[f32], out: &mut [f32], combine: impl Fn(f32, f32) -> f32 + Sync) {
    let width = row.len();
    cpu.rows(out, width, width * LIGHT, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width).zip(x[first * width..].chunks_exact(width)) {
                    for ((out, x), row) in out.iter_mut().zip(x).zip(row) {
                        *out = combine(*x, *row);
                    }
                }
            },
        );
    });
}

/// out = a + b.
pub(crate) fn add(cpu: &Cpu, a: &[f32], b: &[f32], out: &mut [f32]) {
    pairs(
        cpu,
        a,
        b,
        out,
        #[inline(always)]
        |a, b| a + b,
    );
}

/// out = x + row, where `row` is added to every row of x.
pub(crate) fn add_row(cpu: &Cpu, x: &[f32], row: &[f32], out: &mut [f32]) {
    with_row(
        cpu,
        x,
        row,
        out,
        #[inline(always)]
        |x, row| x + row,
    );
}

/// out = x factor.
pub(crate) fn scale(cpu: &Cpu, x: &[f32], factor: f32, out: &mut [f32]) {
    cpu.rows(out, 1, LIGHT, 64, |first, out| {
        vectorized(
            #[inline(always)]
            || out.iter_mut().zip(&x[first..]).for_each(|(out, x)| *out = x * factor),
        );
    });
}

/// out = a b.
pub(crate) fn mul(cpu: &Cpu, a: &[f32], b: &[f32], out: &mut [f32]) {
    pairs(
        cpu,
        a,
        b,
        out,
        #[inline(always)]
        |a, b| a * b,
    );
}

/// Every row of out is the row of x times `row`, value by value.
pub(crate) fn mul_row(cpu: &Cpu, x: &[f32], row: &[f32], out: &mut [f32]) {
    with_row(
        cpu,
        x,
        row,
        out,
        #[inline(always)]
        |x, row| x * row,
    );
}

/// Row i of out is row i of x times `factors[i]`.
pub(crate) fn mul_column(cpu: &Cpu, x: &[f32], width: usize, factors: &[f32], out: &mut [f32]) {
    cpu.rows(out, width, width * LIGHT, 1, |first, out| {
        let rows = x[first * width..].chunks_exact(width).zip(&factors[first..]);
        vectorized(
            #[inline(always)]
            || {
                for (out, (x, factor)) in out.chunks_exact_mut(width).zip(rows) {
                    out.iter_mut().zip(x).for_each(|(out, x)| *out = x * factor);
                }
            },
        );
    });
}

/// Value i of out is the dot product of rows i of a and b.
pub(crate) fn row_dot(cpu: &Cpu, a: &[f32], b: &[f32], width: usize, out: &mut [f32]) {
    cpu.rows(out, 1, width * LIGHT, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (i, out) in out.iter_mut().enumerate() {
                    let at = (first + i) * width;
                    *out = dot(&a[at..at + width], &b[at..at + width]);
                }
            },
        );
    });
}

/// Value i of out is value i of x if `keep[i]` is not 0, else `fill`.
pub(crate) fn mask(cpu: &Cpu, x: &[f32], keep: &[f32], fill: f32, out: &mut [f32]) {
    cpu.rows(out, 1, LIGHT, 64, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for ((out, x), keep) in out.iter_mut().zip(&x[first..]).zip(&keep[first..]) {
                    *out = if *keep == 0.0 { fill } else { *x };
                }
            },
        );
    });
}

/// Row i of out is row i of x if `keep[i]` is not 0, else `fill`.
pub(crate) fn mask_rows(cpu: &Cpu, x: &[f32], width: usize, keep: &[f32], fill: f32, out: &mut [f32]) {
    cpu.rows(out, width, width * LIGHT, 1, |first, out| {
        let rows = x[first * width..].chunks_exact(width).zip(&keep[first..]);
        for (out, (x, keep)) in out.chunks_exact_mut(width).zip(rows) {
            if *keep == 0.0 {
                out.fill(fill);
            } else {
                out.copy_from_slice(x);
            }
        }
    });
}
