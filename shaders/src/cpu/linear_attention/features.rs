//! Features of a block of rows from their projections, and the derivative of that map.

use crate::cpu::math;
use crate::cpu::simd::{dot, max, sum};

/// Exponentials below e to this power count as zero: they vanish beside the added constant, and products with them
/// would be subnormal numbers, which are slow.
const LOWEST: f32 = -60.0;

/// Rows of projections of one head, and the vectors they were made from.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// The first of the vectors; `width` values from one to the next.
    pub(crate) z: &'a [f32],
    pub(crate) width: usize,
    pub(crate) head_width: usize,
    pub(crate) count: usize,
    /// Features of a row, and the distance of rows of features.
    pub(crate) features: usize,
    pub(crate) stride: usize,
    /// Factor of |z|² / 2 in the exponent.
    pub(crate) square_scale: f32,
}

impl Rows<'_> {
    /// scale² |z|² / 2 of a row.
    #[inline(always)]
    fn square(&self, row: usize) -> f32 {
        let z = &self.z[row * self.width..][..self.head_width];
        0.5 * self.square_scale * dot(z, z)
    }

    /// The largest projection and how often it occurs.
    #[inline(always)]
    pub(crate) fn maximum(&self, projected: &[f32]) -> (f32, f32) {
        let mut largest = f32::NEG_INFINITY;
        for row in 0..self.count {
            let highest = max(&projected[row * self.stride..][..self.features]);
            if highest > largest {
                largest = highest;
            }
        }
        let mut ties = 0;
        for row in 0..self.count {
            ties += count(&projected[row * self.stride..][..self.features], largest);
        }
        (largest, ties as f32)
    }

    /// exp(a - |z|² / 2 - maximum) in place, for one maximum or (none) that of each row.
    #[inline(always)]
    pub(crate) fn exponentials(&self, values: &mut [f32], maximum: Option<f32>) {
        for row in 0..self.count {
            let square = self.square(row);
            let values = &mut values[row * self.stride..][..self.features];
            let largest = match maximum {
                Some(maximum) => maximum,
                None => max(values),
            };
            let offset = -(square + largest);
            for value in values {
                let exponent = *value + offset;
                let power = math::exp(exponent);
                *value = if exponent < LOWEST { 0.0 } else { power };
            }
        }
    }

    /// max(a, 0) in place.
    #[inline(always)]
    pub(crate) fn relu(&self, values: &mut [f32]) {
        for row in 0..self.count {
            for value in &mut values[row * self.stride..][..self.features] {
                *value = if *value < 0.0 { 0.0 } else { *value };
            }
        }
    }

    /// Adds a constant to every feature.
    #[inline(always)]
    pub(crate) fn shift(&self, values: &mut [f32], shift: f32) {
        for row in 0..self.count {
            for value in &mut values[row * self.stride..][..self.features] {
                *value += shift;
            }
        }
    }

    /// From gradients at the features to gradients at the projections, in place, for exponentials (without the added
    /// constant). What flows into the square of row i is left in `squares[i]`. The maximum is that of the projections
    /// of the row, whose gradient is spread over `ties[i]` equal projections.
    #[inline(always)]
    pub(crate) fn query_slopes(
        &self,
        exponentials: &[f32],
        slopes: &mut [f32],
        squares: &mut [f32],
        largest: &[(f32, f32)],
    ) {
        for row in 0..self.count {
            let total = self.row_slopes(exponentials, slopes, row);
            squares[row] = -total;
            let (height, ties) = largest[row];
            // The largest projection has the largest exponential; equal exponentials of unequal projections do not
            // matter to rounding.
            let part = total / ties;
            let values = &exponentials[row * self.stride..][..self.features];
            for (slope, value) in slopes[row * self.stride..][..self.features].iter_mut().zip(values) {
                *slope -= if *value == height { part } else { 0.0 };
            }
        }
    }

    /// As [`Rows::query_slopes`] without a maximum.
    #[inline(always)]
    pub(crate) fn key_slopes(&self, exponentials: &[f32], slopes: &mut [f32], squares: &mut [f32]) {
        for (row, square) in squares[..self.count].iter_mut().enumerate() {
            *square = -self.row_slopes(exponentials, slopes, row);
        }
    }

    #[inline(always)]
    fn row_slopes(&self, exponentials: &[f32], slopes: &mut [f32], row: usize) -> f32 {
        let values = &exponentials[row * self.stride..][..self.features];
        let slopes = &mut slopes[row * self.stride..][..self.features];
        for (slope, value) in slopes.iter_mut().zip(values) {
            *slope *= value;
        }
        sum(slopes)
    }

    /// From gradients at max(a, 0) to gradients at a, in place.
    #[inline(always)]
    pub(crate) fn relu_slopes(&self, features: &[f32], slopes: &mut [f32]) {
        for row in 0..self.count {
            let values = &features[row * self.stride..][..self.features];
            for (slope, value) in slopes[row * self.stride..][..self.features].iter_mut().zip(values) {
                *slope = if *value > 0.0 { *slope } else { 0.0 };
            }
        }
    }

    /// Places of the projections that equal `wanted`.
    #[inline(always)]
    pub(crate) fn find(&self, projected: &[f32], wanted: f32, places: &mut Vec<usize>) {
        places.clear();
        for row in 0..self.count {
            let values = &projected[row * self.stride..][..self.features];
            if count(values, wanted) > 0 {
                let equal = (0..self.features).filter(|&feature| values[feature] == wanted);
                places.extend(equal.map(|feature| row * self.stride + feature));
            }
        }
    }

    /// Largest value of each row and how often it occurs.
    #[inline(always)]
    pub(crate) fn maxima(&self, values: &[f32], out: &mut [(f32, f32)]) {
        for (row, out) in out[..self.count].iter_mut().enumerate() {
            let values = &values[row * self.stride..][..self.features];
            let largest = max(values);
            *out = (largest, count(values, largest) as f32);
        }
    }

    /// Adds what flows through the squares to the gradients at the vectors, `width` values from one to the next.
    #[inline(always)]
    pub(crate) fn add_square_slopes(&self, squares: &[f32], out: &mut [f32]) {
        for (row, square) in squares[..self.count].iter().enumerate() {
            let factor = square * self.square_scale;
            let z = &self.z[row * self.width..][..self.head_width];
            for (out, z) in out[row * self.width..][..self.head_width].iter_mut().zip(z) {
                *out = factor.mul_add(*z, *out);
            }
        }
    }
}

/// How many values equal `wanted`.
#[inline(always)]
fn count(values: &[f32], wanted: f32) -> u32 {
    let mut count = 0;
    for value in values {
        count += u32::from(*value == wanted);
    }
    count
}
