//! CPU twins of the element-wise kernels.

use super::simd::vectorized;
use super::{Cpu, math};
use crate::ops::Activation;

/// Work of one value of a simple loop, in units of a multiply-add.
const LIGHT: usize = 1;
/// Work of one value with an exponential.
const HEAVY: usize = 8;

/// out = a + b.
pub(crate) fn add(cpu: &Cpu, a: &[f32], b: &[f32], out: &mut [f32]) {
    cpu.rows(out, 1, LIGHT, 64, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for ((out, a), b) in out.iter_mut().zip(&a[first..]).zip(&b[first..]) {
                    *out = a + b;
                }
            },
        );
    });
}

/// out = x + row, where `row` is added to every row of x.
pub(crate) fn add_row(cpu: &Cpu, x: &[f32], row: &[f32], out: &mut [f32]) {
    let width = row.len();
    cpu.rows(out, width, width * LIGHT, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width).zip(x[first * width..].chunks_exact(width)) {
                    for ((out, x), row) in out.iter_mut().zip(x).zip(row) {
                        *out = x + row;
                    }
                }
            },
        );
    });
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

/// out = activation(x).
pub(crate) fn activate(cpu: &Cpu, x: &[f32], activation: Activation, out: &mut [f32]) {
    cpu.rows(out, 1, HEAVY, 64, |first, out| {
        out.copy_from_slice(&x[first..first + out.len()]);
        vectorized(
            #[inline(always)]
            || math::activate(activation, out),
        );
    });
}

/// out = gradient where the rectifier let the value through, else 0.
pub(crate) fn relu_backward(cpu: &Cpu, gradient: &[f32], output: &[f32], out: &mut [f32]) {
    cpu.rows(out, 1, LIGHT, 64, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for ((out, gradient), y) in out.iter_mut().zip(&gradient[first..]).zip(&output[first..]) {
                    *out = if *y <= 0.0 { 0.0 } else { *gradient };
                }
            },
        );
    });
}

/// out row i = table row ids[i].
pub(crate) fn embed(cpu: &Cpu, table: &[f32], width: usize, ids: &[u32], out: &mut [f32]) {
    cpu.rows(out, width, width * LIGHT, 1, |first, out| {
        for (out, &id) in out.chunks_exact_mut(width).zip(&ids[first..]) {
            out.copy_from_slice(&table[id as usize * width..][..width]);
        }
    });
}
