//! The projection in the two layouts that the matrix products read well, and the projection of rows.

use crate::cpu::gemm::{self, View};
use crate::ops::Rule;

/// A projection times the factor of its rule.
pub(crate) struct Projection {
    /// `[head_width, padded features]`.
    wide: Vec<f32>,
    /// `[features, head_width]`.
    tall: Vec<f32>,
    head_width: usize,
    features: usize,
}

impl Projection {
    /// From the element of a feature and a column.
    pub(crate) fn new(rule: &Rule, element: impl Fn(usize, usize) -> f32) -> Projection {
        let (head_width, features) = (rule.head_width, rule.features);
        let padded = features.next_multiple_of(16);
        let (mut wide, mut tall) = (vec![0.0; head_width * padded], vec![0.0; features * head_width]);
        for feature in 0..features {
            for column in 0..head_width {
                let value = element(feature, column) * rule.scale();
                wide[column * padded + feature] = value;
                tall[feature * head_width + column] = value;
            }
        }
        Projection { wide, tall, head_width, features }
    }

    /// Distance of rows of projected values: not a power of two, which would put all rows into the same lines of the
    /// cache.
    pub(crate) fn stride(&self) -> usize {
        self.features.next_multiple_of(16) + 16
    }

    /// Projects `rows` vectors that begin at every `width` values of `z`.
    pub(crate) fn forward(&self, z: &[f32], width: usize, rows: usize, out: &mut [f32]) {
        let wide =
            View { data: &self.wide, row_stride: self.features.next_multiple_of(16), column_stride: 1 };
        let z = View { data: z, row_stride: width, column_stride: 1 };
        gemm::multiply([rows, self.features, self.head_width], z, wide, out, self.stride(), false);
    }

    /// From gradients at projected values to gradients at the vectors.
    pub(crate) fn backward(&self, slopes: &[f32], rows: usize, out: &mut [f32], width: usize) {
        let tall = View { data: &self.tall, row_stride: self.head_width, column_stride: 1 };
        let slopes = View { data: slopes, row_stride: self.stride(), column_stride: 1 };
        gemm::multiply([rows, self.head_width, self.features], slopes, tall, out, width, false);
    }
}
