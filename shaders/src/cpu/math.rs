//! Elementary functions without branches or tables, so that loops over them become vector code, and with the same bits
//! on every processor. The polynomials are Chebyshev fits made for this file; their errors are stated and tested.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use crate::ops::Activation;

/// e^x with a relative error below 2e-7; 0 below -87.3 (no subnormal results), infinity above 88.7.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p = 0.001_393_373_4_f32;
    p = p.mul_add(r, 0.008_363_236);
    p = p.mul_add(r, 0.041_666_463);
    p = p.mul_add(r, 0.166_665_76);
    p = p.mul_add(r, 0.5);
    p = (r * r).mul_add(p, r) + 1.0;
    // 2^n in two factors, because 2^128 is not a number of its own.
    let power = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = power >> 1;
    let scale = |e: i32| f32::from_bits((e.wrapping_add(127) as u32) << 23);
    let value = p * scale(half) * scale(power.wrapping_sub(half));
    let value = if x > 88.722_83 { f32::INFINITY } else { value };
    if x < -87.336_54 { 0.0 } else { value }
}

/// Complement of the error function for z >= 0, times e^(z²), with a relative error below 1e-6.
#[inline(always)]
fn erfc_scaled(z: f32) -> f32 {
    let t = 1.0 / z.mul_add(0.35, 1.0);
    let mut p = 0.039_071_802_f32;
    p = p.mul_add(t, -0.162_569);
    p = p.mul_add(t, 0.190_017_54);
    p = p.mul_add(t, -0.039_110_754);
    p = p.mul_add(t, 0.096_501_8);
    p = p.mul_add(t, 0.140_951_54);
    p = p.mul_add(t, 0.152_947_29);
    p = p.mul_add(t, 0.187_524_36);
    p = p.mul_add(t, 0.197_184);
    p = p.mul_add(t, 0.197_481_42);
    p * t
}

/// x Φ(x) with the normal distribution function Φ (Hendrycks and Gimpel 2016), as torch's exact GELU.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let z = x.abs() * FRAC_1_SQRT_2;
    let tail = 0.5 * (erfc_scaled(z) * exp(-z * z));
    if x < 0.0 { x * tail } else { x - x * tail }
}

/// The derivative of [`gelu`], Φ(x) + x φ(x) with the density φ.
#[inline(always)]
pub(crate) fn gelu_slope(x: f32) -> f32 {
    const DENSITY_AT_0: f32 = 0.398_942_3;
    let e = exp(-0.5 * x * x);
    let tail = 0.5 * erfc_scaled(x.abs() * FRAC_1_SQRT_2) * e;
    let cdf = if x < 0.0 { tail } else { 1.0 - tail };
    x.mul_add(DENSITY_AT_0 * e, cdf)
}

/// 2 √(2/π).
pub(crate) const GELU_TANH: f32 = 1.595_769;

/// The approximation of [`gelu`] by tanh: x σ(2 √(2/π) (x + 0.044715 x³)).
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    let inner = GELU_TANH * (0.044_715 * x * x).mul_add(x, x);
    x * sigmoid(inner)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x / (1 + e^-x).
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// Hyperbolic tangent with a relative error below 3e-7: a polynomial near 0, where the difference from 1 would lose
/// digits.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let z = x * x;
    let mut p = -0.006_269_12_f32;
    p = p.mul_add(z, 0.021_110_96);
    p = p.mul_add(z, -0.053_873_95);
    p = p.mul_add(z, 0.133_329_15);
    p = p.mul_add(z, -0.333_333_3);
    let near = (x * z).mul_add(p, x);
    let far = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    let far = if x < 0.0 { -far } else { far };
    if z < 0.36 { near } else { far }
}

/// Applies `activation` to all values.
#[inline(always)]
pub(crate) fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::None => {}
        Activation::Relu => {
            for value in values {
                *value = if *value < 0.0 { 0.0 } else { *value };
            }
        }
        Activation::Gelu => each(values, gelu),
        Activation::GeluTanh => each(values, gelu_tanh),
        Activation::Sigmoid => each(values, sigmoid),
        Activation::Silu => each(values, silu),
        Activation::Tanh => each(values, tanh),
        Activation::LeakyRelu(slope) => {
            let factor = slope.value();
            for value in values {
                *value = if *value < 0.0 { *value * factor } else { *value };
            }
        }
    }
}

/// A plain loop: the body of an iterator adaptor might be compiled on its own, without the wide instructions.
#[inline(always)]
fn each(values: &mut [f32], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_range() {
        let mut worst = 0.0f64;
        for i in -87_000..88_700 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        assert!(worst < 2e-7, "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-100.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    /// Φ(x) by integrating the density with Simpson's rule in f64, independent of the polynomial.
    fn normal_cdf(x: f64) -> f64 {
        let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let steps = 20_000;
        let (low, high) = (-15.0, x.max(-15.0));
        let h = (high - low) / f64::from(steps);
        let inner = (1..steps).map(|i| density(low + h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 });
        (density(low) + density(high) + inner.sum::<f64>()) * h / 3.0
    }

    #[test]
    fn gelu_is_accurate_in_both_tails() {
        for i in -200..200 {
            let x = i as f32 * 0.04;
            let exact = f64::from(x) * normal_cdf(f64::from(x));
            let error = (f64::from(gelu(x)) - exact).abs();
            assert!(
                error <= 2e-7 * exact.abs() + 1e-6 * exact.abs() * f64::from(x < -2.0) + 2e-8,
                "{x}: {error:e}"
            );
        }
        assert!(gelu(f32::NAN).is_nan());
        assert_eq!(gelu(-40.0), 0.0);
        assert_eq!(gelu(40.0), 40.0);
    }

    #[test]
    fn tanh_is_accurate_near_and_far() {
        let mut worst = 0.0f64;
        for i in 1..200_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).tanh();
            worst = worst.max((f64::from(tanh(x)) / exact - 1.0).abs());
            assert_eq!(tanh(-x), -tanh(x));
        }
        assert!(worst < 3e-7, "{worst:e}");
        assert_eq!([tanh(0.0), tanh(f32::INFINITY), tanh(-1e30)], [0.0, 1.0, -1.0]);
    }

    #[test]
    fn activations_keep_not_a_number() {
        for activation in Activation::ALL {
            let mut values = [f32::NAN, 1.0];
            activate(activation, &mut values);
            assert!(values[0].is_nan() && !values[1].is_nan(), "{activation:?}");
        }
    }
}
