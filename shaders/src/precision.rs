//! How exact matrix products are: the user's choice, part of the key of a result, never a silent one.

use std::fmt;
use std::str::FromStr;

/// Arithmetic of matrix products. Everything else (norms, softmax, sums, losses, optimisers) is f32 in all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// f32 throughout: what parity with the published models is stated in. Every device can.
    #[default]
    F32,
    /// Cooperative matrices with every f32 factor split into two f16 halves and three products: the
    /// accuracy of f32, relative to the largest values of a row of the first factor and a column of the second. Values of
    /// any size: rows and columns are scaled by powers of two. What is not finite gives not-a-number.
    F32x3,
    /// Cooperative matrices with factors rounded to f16 and sums in f32.
    F16,
}

impl Precision {
    /// All precisions, the default first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::F32x3, Precision::F16];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F32x3 => "f32x3",
            Precision::F16 => "f16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no precision; use f32, f32x3 or f16")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Precision, UnknownPrecision> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == text);
        found.ok_or_else(|| UnknownPrecision(text.to_owned()))
    }
}
