//! Powers of two, the exponential of attention: scores are multiplied by log₂ e from the start (it is folded into the
//! queries), which saves a multiplication a score and makes the argument reduction exact.

use std::f32::consts::LN_2;

use pulp::Simd;

use super::product::LANES;

/// Below every score that can occur, and finite: the first correction is 2^(-large) = 0, not a NaN.
pub(super) const LOWEST: f32 = -3.0e38;

/// Adding 1.5 * 2^23 rounds to an integer; 127 more, and the low bits are the exponent field of 2^n.
const ROUND: f32 = 12_582_912.0 + 127.0;
/// A fit of 2^r for |r| <= 1/2 with a relative error of 1.05e-7 and the value 1 at 0, constant term first.
const FIT: [f32; 6] = [1.0, LN_2, 0.240_222_83, 0.055_505_585, 0.009_669_691, 0.001_330_060_5];
/// No subnormal results.
const SMALLEST: f32 = -126.0;

/// 2^x for x <= 127 with a relative error below 2e-7; 0 below -126.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let round = simd.splat_f32s(ROUND);
    let shifted = simd.add_f32s(x, round);
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, round));
    let mut p = simd.splat_f32s(FIT[5]);
    for coefficient in [FIT[4], FIT[3], FIT[2], FIT[1], FIT[0]] {
        p = simd.mul_add_f32s(p, r, simd.splat_f32s(coefficient));
    }
    let bits = simd.transmute_u32s_f32s(shifted);
    let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23)));
    let value = simd.mul_f32s(p, power);
    let tiny = simd.less_than_f32s(x, simd.splat_f32s(SMALLEST));
    simd.select_f32s(tiny, simd.splat_f32s(0.0), value)
}

/// [`exp2`] of one value, with the same bits.
#[inline(always)]
pub(super) fn exp2_one(x: f32) -> f32 {
    let shifted = x + ROUND;
    let r = x - (shifted - ROUND);
    let mut p = FIT[5];
    for coefficient in [FIT[4], FIT[3], FIT[2], FIT[1], FIT[0]] {
        p = p.mul_add(r, coefficient);
    }
    let value = p * f32::from_bits(shifted.to_bits() << 23);
    if x < SMALLEST { 0.0 } else { value }
}

/// The largest of `row`, a multiple of [`LANES`] values; not a number is skipped or comes out.
#[inline(always)]
pub(super) fn largest<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (vectors, _) = S::as_simd_f32s(row);
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    for &vector in vectors {
        largest = simd.max_f32s(vector, largest);
    }
    simd.reduce_max_f32s(largest)
}

/// Turns scores into weights 2^(score - shift) and adds them to the [`LANES`] partial sums. `row` holds a multiple of
/// [`LANES`] values.
#[inline(always)]
pub(super) fn weigh<S: Simd>(simd: S, row: &mut [f32], shift: f32, sums: &mut [f32]) {
    let shift = simd.splat_f32s(shift);
    let (sums, _) = S::as_mut_simd_f32s(&mut sums[..LANES]);
    let lanes = LANES / S::F32_LANES;
    let (row, _) = S::as_mut_simd_f32s(row);
    for (lane, sum) in sums.iter_mut().enumerate() {
        let mut total = *sum;
        let mut at = lane;
        while at < row.len() {
            row[at] = exp2(simd, simd.sub_f32s(row[at], shift));
            total = simd.add_f32s(total, row[at]);
            at += lanes;
        }
        *sum = total;
    }
}

/// From scores and the products of the result's gradient with the values, the weights 2^(score - lse) and the gradients of
/// the scores, weight * (product - mean). Both rows hold a multiple of [`LANES`] values.
#[inline(always)]
pub(super) fn differentiate<S: Simd>(simd: S, scores: &mut [f32], products: &mut [f32], lse: f32, mean: f32) {
    let (lse, mean) = (simd.splat_f32s(lse), simd.splat_f32s(mean));
    let (scores, _) = S::as_mut_simd_f32s(scores);
    let (products, _) = S::as_mut_simd_f32s(products);
    let products = &mut products[..scores.len()];
    for i in 0..scores.len() {
        let weight = exp2(simd, simd.sub_f32s(scores[i], lse));
        scores[i] = weight;
        products[i] = simd.mul_f32s(weight, simd.sub_f32s(products[i], mean));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_accurate() {
        let mut worst = 0.0f64;
        for i in -125_999..1_000 {
            let x = i as f32 * 1e-3;
            worst = worst.max((f64::from(exp2_one(x)) / f64::from(x).exp2() - 1.0).abs());
        }
        assert!(worst < 2e-7, "{worst:e}");
        assert_eq!(exp2_one(0.0), 1.0);
        assert_eq!(exp2_one(-200.0), 0.0);
        assert_eq!(exp2_one(LOWEST), 0.0);
        assert_eq!(exp2_one(f32::NEG_INFINITY), 0.0);
        assert!(exp2_one(f32::NAN).is_nan());
        assert!(exp2_one(f32::from_bits(0x7fc0_1235)).is_nan());
    }
}
