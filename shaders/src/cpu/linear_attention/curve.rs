//! CPU twin of the functions of single values.

use crate::cpu::simd::vectorized;
use crate::cpu::{Cpu, math};
use crate::ops::Curve;

/// Work of one value, in units of a multiply-add.
const WORK: usize = 8;

/// The function at every x, or its derivative times a gradient.
pub(crate) fn curve(cpu: &Cpu, kind: Curve, x: &[f32], gradient: Option<&[f32]>, out: &mut [f32]) {
    cpu.rows(out, 1, WORK, 64, |first, out| {
        let x = &x[first..][..out.len()];
        let gradient = gradient.map(|gradient| &gradient[first..][..out.len()]);
        vectorized(
            #[inline(always)]
            || match (kind, gradient) {
                (Curve::Reciprocal, None) => {
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = 1.0 / x;
                    }
                }
                (Curve::Reciprocal, Some(gradient)) => {
                    for ((out, x), gradient) in out.iter_mut().zip(x).zip(gradient) {
                        let y = 1.0 / x;
                        *out = -gradient * y * y;
                    }
                }
                (Curve::ClampedExponential, None) => {
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = clamped(*x);
                    }
                }
                (Curve::ClampedExponential, Some(gradient)) => {
                    for ((out, x), gradient) in out.iter_mut().zip(x).zip(gradient) {
                        *out = if x.abs() > 1.0 { 0.0 } else { gradient * clamped(*x) };
                    }
                }
            },
        );
    });
}

/// Not a number stays.
#[inline(always)]
fn clamped(x: f32) -> f32 {
    let x = if x > 1.0 { 1.0 } else { x };
    math::exp(if x < -1.0 { -1.0 } else { x })
}
