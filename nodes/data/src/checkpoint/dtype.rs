//! Element types of stored tensors.

use std::fmt;

/// How the elements of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dtype {
    /// One byte, zero or one.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Something that can be listed but not read (complex numbers, numbers below 8 bits, ...).
    Other(&'static str),
}

impl Dtype {
    /// Bytes of one element; 0 for what cannot be read.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Other(_) => 0,
        }
    }

    /// Whether the elements are real numbers, as weights are.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }

    /// Whether the elements are whole numbers or truth values.
    #[must_use]
    pub fn is_integer(self) -> bool {
        !self.is_float() && self.width() > 0
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Other(name) => name,
        })
    }
}

impl From<safetensors::Dtype> for Dtype {
    fn from(dtype: safetensors::Dtype) -> Self {
        use safetensors::Dtype as S;
        match dtype {
            S::BOOL => Self::Bool,
            S::U8 => Self::U8,
            S::I8 => Self::I8,
            S::U16 => Self::U16,
            S::I16 => Self::I16,
            S::U32 => Self::U32,
            S::I32 => Self::I32,
            S::U64 => Self::U64,
            S::I64 => Self::I64,
            S::F16 => Self::F16,
            S::BF16 => Self::Bf16,
            S::F32 => Self::F32,
            S::F64 => Self::F64,
            S::C64 => Self::Other("c64"),
            S::F8_E4M3 => Self::Other("f8_e4m3"),
            S::F8_E5M2 => Self::Other("f8_e5m2"),
            _ => Self::Other("a type below 8 bits"),
        }
    }
}
