//! The parts of numpy that occur in pickles of data: element types, scalars and arrays.

use half::f16;

/// Kind and width of a numpy element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarType {
    /// `b1`.
    Bool,
    /// `i1`, `i2`, `i4`, `i8`: the width in bytes.
    Int(u8),
    /// `u1`, `u2`, `u4`, `u8`.
    Uint(u8),
    /// `f2`, `f4`, `f8`.
    Float(u8),
}

/// An element type and its byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DType {
    pub(super) element: Element,
    pub(super) big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Number(ScalarType),
    /// `U15`: text of at most so many code points, four bytes each.
    Text(usize),
}

/// One value of numpy.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// `numpy.bool_`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number, widened to 64 bits.
    Float(f64),
    /// `numpy.str_`.
    Text(String),
}

/// A numpy array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents, outermost first; empty for a zero-dimensional array.
    pub shape: Vec<usize>,
    /// Element type of `values` as it stood in the file.
    pub scalar: ScalarType,
    /// Elements as numbers, row-major.
    pub values: Vec<f64>,
}

impl ScalarType {
    /// From numpy's short name (`i2`, `f8`, `b1`).
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "b1" | "?" => Self::Bool,
            "i1" => Self::Int(1),
            "i2" => Self::Int(2),
            "i4" => Self::Int(4),
            "i8" => Self::Int(8),
            "u1" => Self::Uint(1),
            "u2" => Self::Uint(2),
            "u4" => Self::Uint(4),
            "u8" => Self::Uint(8),
            "f2" => Self::Float(2),
            "f4" => Self::Float(4),
            "f8" => Self::Float(8),
            _ => return None,
        })
    }

    /// Bytes of one element.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int(width) | Self::Uint(width) | Self::Float(width) => width.into(),
        }
    }
}

impl DType {
    /// From numpy's name with optional byte order (`<f4`, `U15`).
    pub(super) fn parse(name: &str) -> Option<Self> {
        let bare = name.trim_start_matches(['<', '>', '=', '|']);
        let element = match bare.strip_prefix('U') {
            Some(length) => Element::Text(length.parse().ok()?),
            None => Element::Number(ScalarType::parse(bare)?),
        };
        Some(Self { element, big_endian: name.starts_with('>') })
    }

    /// The value in exactly as many bytes as the type has. `None` for another length, or for what is no value.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<Scalar> {
        match self.element {
            Element::Number(scalar) => scalar.decode(bytes, self.big_endian),
            Element::Text(length) if length.checked_mul(4) == Some(bytes.len()) => self.text(bytes),
            Element::Text(_) => None,
        }
    }

    /// UTF-32, filled up with zeros.
    fn text(self, bytes: &[u8]) -> Option<Scalar> {
        let read = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let text: Option<String> = bytes.as_chunks().0.iter().map(|&b| char::from_u32(read(b))).collect();
        Some(Scalar::Text(text?.trim_end_matches('\0').to_owned()))
    }
}

impl ScalarType {
    fn decode(self, bytes: &[u8], big_endian: bool) -> Option<Scalar> {
        let width = self.width();
        if bytes.len() != width {
            return None;
        }
        let mut wide = [0_u8; 8];
        for (i, slot) in wide.iter_mut().take(width).enumerate() {
            *slot = bytes[if big_endian { width - 1 - i } else { i }];
        }
        let raw = u64::from_le_bytes(wide);
        let shift = 64 - 8 * u32::from(u8::try_from(width).ok()?);
        Some(match self {
            Self::Bool => Scalar::Bool(raw != 0),
            Self::Uint(_) => Scalar::Int(i64::try_from(raw).ok()?),
            Self::Int(_) => Scalar::Int(raw.cast_signed() << shift >> shift),
            Self::Float(2) => Scalar::Float(f16::from_le_bytes([wide[0], wide[1]]).to_f64()),
            Self::Float(4) => Scalar::Float(f32::from_le_bytes([wide[0], wide[1], wide[2], wide[3]]).into()),
            Self::Float(_) => Scalar::Float(f64::from_bits(raw)),
        })
    }
}

impl Array {
    /// Decodes the raw bytes of an array. The error says how they contradict the shape.
    #[expect(clippy::cast_precision_loss, reason = "numbers are handed out as f64")]
    pub(super) fn decode(
        shape: Vec<usize>,
        dtype: DType,
        fortran: bool,
        bytes: &[u8],
    ) -> Result<Self, String> {
        let Element::Number(scalar) = dtype.element else {
            return Err("a numpy array of text".to_owned());
        };
        let width = scalar.width();
        let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        let wanted = count.and_then(|n| n.checked_mul(width));
        if wanted != Some(bytes.len()) {
            return Err(format!("a numpy array of shape {shape:?} with {} bytes of data", bytes.len()));
        }
        let mut values = Vec::with_capacity(bytes.len() / width);
        for chunk in bytes.chunks_exact(width) {
            values.push(match scalar.decode(chunk, dtype.big_endian).ok_or("a number beyond 64 bits")? {
                Scalar::Bool(value) => f64::from(u8::from(value)),
                Scalar::Int(value) => value as f64,
                Scalar::Float(value) => value,
                Scalar::Text(_) => f64::NAN,
            });
        }
        if fortran && shape.len() > 1 {
            values = row_major(&shape, &values);
        }
        Ok(Self { shape, scalar, values })
    }
}

/// Column-major to row-major.
fn row_major(shape: &[usize], values: &[f64]) -> Vec<f64> {
    let mut strides = vec![1_usize; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0_usize; shape.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(values[index.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>()]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}
