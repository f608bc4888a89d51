//! Values of a tensor in the element type in which they are stored.

use half::{bf16, f16};

use super::dtype::Dtype;

/// Values in row-major order, not widened. 16-bit numbers are bit patterns.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// Single precision.
    F32(Vec<f32>),
    /// Half precision, as `half::f16::to_bits` gives it.
    F16(Vec<u16>),
    /// Brain floating point: the upper 16 bits of single precision.
    Bf16(Vec<u16>),
    /// Double precision.
    F64(Vec<f64>),
}

impl Stored {
    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::Bf16(_) => Dtype::Bf16,
            Self::F64(_) => Dtype::F64,
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) | Self::Bf16(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in single precision: exact for 16 bits, rounded to nearest for double precision.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "documented")]
    pub fn widen(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            Self::F16(values) => values.into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect(),
            Self::Bf16(values) => values.into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect(),
            Self::F64(values) => values.into_iter().map(|value| value as f32).collect(),
        }
    }
}
