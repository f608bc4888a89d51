//! A dataset that was checked when opened, and its values as numbers or texts.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use hdf5::datatype::ByteOrder;
use hdf5::types::{CompoundType, TypeDescriptor, VarLenAscii, VarLenUnicode};
use ndarray::s;

use super::{describe, filters, raw};
use crate::DataError;

/// A dataset may claim this much in memory whatever its size on disk.
const FREE_BYTES: u64 = 64 << 20;
/// Beyond that, at most this many bytes in memory per byte of the file: more than gzip's 1032:1 can give, so only
/// headers that lie are refused.
const LARGEST_RATIO: u64 = 4096;

/// What the elements of a dataset are.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Whole numbers of any width.
    Int,
    /// Floating-point numbers; whether f32 holds them exactly.
    Float { narrow: bool },
    /// h5py's FALSE/TRUE enumeration.
    Bool,
    /// Text of fixed length in bytes, or variable (`None`).
    Text(Option<usize>),
    /// A NumPy record array.
    Record(CompoundType),
    /// Anything else, in words.
    Other(String),
}

/// Numbers as read: f32 where that is what the file holds, else f64.
#[derive(Debug)]
pub(crate) enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// An open dataset.
#[derive(Debug, Clone)]
pub(crate) struct H5Dataset {
    inner: hdf5::Dataset,
    name: String,
    shape: Vec<usize>,
    kind: Kind,
    path: Arc<PathBuf>,
    ascii: bool,
}

impl H5Dataset {
    pub(super) fn new(
        inner: hdf5::Dataset,
        name: &str,
        path: &Arc<PathBuf>,
        file_bytes: u64,
    ) -> Result<Self, DataError> {
        let error = |error: hdf5::Error| DataError::Hdf5 {
            path: path.to_path_buf(),
            dataset: name.to_owned(),
            detail: describe(&error),
        };
        filters::check(&inner, name, path)?;
        let dtype = inner.dtype().map_err(error)?;
        let space = inner.space().map_err(error)?;
        let shape = space.shape();
        let claimed = shape.iter().try_fold(dtype.size() as u64, |product, &n| product.checked_mul(n as u64));
        let allowed = FREE_BYTES.max(file_bytes.saturating_mul(LARGEST_RATIO));
        if claimed.is_none_or(|claimed| claimed > allowed) {
            let problem =
                format!("its shape {shape:?} claims more than a file of {file_bytes} bytes can hold");
            return Err(DataError::malformed(path, name, problem));
        }
        let descriptor = dtype.to_descriptor();
        let ascii = matches!(descriptor, Ok(TypeDescriptor::VarLenAscii));
        let kind = match descriptor {
            _ if space.is_null() => Kind::Other("an empty dataspace".to_owned()),
            Ok(TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)) => Kind::Int,
            Ok(TypeDescriptor::Float(size)) => Kind::Float { narrow: size as usize <= 4 },
            Ok(TypeDescriptor::Boolean) => Kind::Bool,
            Ok(TypeDescriptor::FixedAscii(length) | TypeDescriptor::FixedUnicode(length)) => {
                Kind::Text(Some(length))
            }
            Ok(TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode) => Kind::Text(None),
            Ok(TypeDescriptor::Compound(compound)) => Kind::Record(compound),
            Ok(other) => Kind::Other(other.to_string()),
            // Half precision has no descriptor, but HDF5 converts it.
            Err(_) if dtype.size() == 2 && dtype.conv_to::<f32>().is_some() => Kind::Float { narrow: true },
            Err(error) => Kind::Other(describe(&error)),
        };
        Ok(Self { inner, name: name.to_owned(), shape, kind, path: Arc::clone(path), ascii })
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Int | Kind::Float { .. } | Kind::Bool)
    }

    /// Checks that there is one dimension (a scalar counts as a list of one) and gives its length.
    pub(crate) fn expect_list(&self) -> Result<usize, DataError> {
        if self.shape.len() > 1 {
            return Err(self.malformed(format!("one dimension was expected, its shape is {:?}", self.shape)));
        }
        Ok(self.len())
    }

    /// All elements as f64, row after row.
    pub(crate) fn f64s(&self) -> Result<Vec<f64>, DataError> {
        self.expect_numbers()?;
        self.inner.read_raw().map_err(|e| self.error(&e))
    }

    /// All elements as whole numbers, row after row.
    pub(crate) fn i64s(&self) -> Result<Vec<i64>, DataError> {
        self.expect_integers()?;
        self.inner.read_raw().map_err(|e| self.error(&e))
    }

    /// A run of elements of a list as whole numbers. Signed, since HDF5 turns negative values into 0 otherwise.
    pub(crate) fn i64s_in(&self, range: Range<usize>) -> Result<Vec<i64>, DataError> {
        self.expect_integers()?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let values = self.inner.read_slice_1d::<i64, _>(range).map_err(|e| self.error(&e))?;
        Ok(values.into_raw_vec_and_offset().0)
    }

    /// A run of elements of a list.
    pub(crate) fn numbers_in(&self, range: Range<usize>) -> Result<Numbers, DataError> {
        self.expect_numbers()?;
        Ok(match self.kind {
            _ if range.is_empty() => Numbers::F32(Vec::new()),
            Kind::Float { narrow: true } => {
                let values = self.inner.read_slice_1d::<f32, _>(range).map_err(|e| self.error(&e))?;
                Numbers::F32(values.into_raw_vec_and_offset().0)
            }
            _ => {
                let values = self.inner.read_slice_1d::<f64, _>(range).map_err(|e| self.error(&e))?;
                Numbers::F64(values.into_raw_vec_and_offset().0)
            }
        })
    }

    /// A run of rows of a table of two dimensions, row after row.
    pub(crate) fn rows_in(&self, range: Range<usize>) -> Result<Numbers, DataError> {
        self.expect_numbers()?;
        Ok(match self.kind {
            _ if range.is_empty() || self.shape.get(1) == Some(&0) => Numbers::F32(Vec::new()),
            Kind::Float { narrow: true } => {
                let rows = self.inner.read_slice_2d::<f32, _>(s![range, ..]).map_err(|e| self.error(&e))?;
                Numbers::F32(rows.into_raw_vec_and_offset().0)
            }
            _ => {
                let rows = self.inner.read_slice_2d::<f64, _>(s![range, ..]).map_err(|e| self.error(&e))?;
                Numbers::F64(rows.into_raw_vec_and_offset().0)
            }
        })
    }

    /// All elements as texts; bytes that are no UTF-8 become replacement characters.
    pub(crate) fn texts(&self) -> Result<Vec<String>, DataError> {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self.kind {
            Kind::Text(None) if self.ascii => {
                let values = self.inner.read_raw::<VarLenAscii>().map_err(|e| self.error(&e))?;
                Ok(values.iter().map(|value| lossy(value.as_bytes())).collect())
            }
            Kind::Text(None) => {
                let values = self.inner.read_raw::<VarLenUnicode>().map_err(|e| self.error(&e))?;
                Ok(values.iter().map(|value| lossy(value.as_bytes())).collect())
            }
            Kind::Text(Some(length)) => {
                let bytes = self.bytes()?;
                Ok(bytes.chunks_exact(length.max(1)).map(|text| lossy(trim_nul(text))).collect())
            }
            _ => Err(self.malformed(format!("text was expected, it holds {}", self.kind_name()))),
        }
    }

    /// All elements of an HDF5 boolean.
    pub(crate) fn bools(&self) -> Result<Vec<bool>, DataError> {
        match self.kind {
            Kind::Bool => Ok(self.bytes()?.iter().map(|&byte| byte != 0).collect()),
            Kind::Int => Ok(self.i64s()?.iter().map(|&value| value != 0).collect()),
            _ => Err(self.malformed(format!("true or false was expected, it holds {}", self.kind_name()))),
        }
    }

    /// Whether numbers inside its elements have the most significant byte first.
    pub(crate) fn is_big_endian(&self) -> Result<bool, DataError> {
        match self.inner.dtype().map_err(|e| self.error(&e))?.byte_order() {
            ByteOrder::BigEndian => Ok(true),
            ByteOrder::LittleEndian | ByteOrder::None => Ok(false),
            _ => Err(self.malformed("its byte order is mixed")),
        }
    }

    /// The bytes of all elements as the file holds them.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, DataError> {
        raw::read_bytes(&self.inner).map_err(|e| self.error(&e))
    }

    pub(crate) fn malformed(&self, problem: impl Into<String>) -> DataError {
        DataError::malformed(&self.path, self.name.as_str(), problem)
    }

    pub(crate) fn kind_name(&self) -> String {
        match &self.kind {
            Kind::Int => "whole numbers".to_owned(),
            Kind::Float { .. } => "numbers".to_owned(),
            Kind::Bool => "true and false".to_owned(),
            Kind::Text(_) => "text".to_owned(),
            Kind::Record(_) => "records".to_owned(),
            Kind::Other(what) => what.clone(),
        }
    }

    fn expect_numbers(&self) -> Result<(), DataError> {
        if self.is_number() {
            return Ok(());
        }
        Err(self.malformed(format!("numbers were expected, it holds {}", self.kind_name())))
    }

    fn expect_integers(&self) -> Result<(), DataError> {
        if matches!(self.kind, Kind::Int | Kind::Bool) {
            return Ok(());
        }
        Err(self.malformed(format!("whole numbers were expected, it holds {}", self.kind_name())))
    }

    fn error(&self, error: &hdf5::Error) -> DataError {
        DataError::Hdf5 { path: self.path.to_path_buf(), dataset: self.name.clone(), detail: describe(error) }
    }
}

/// A fixed-length text without the zero bytes that fill it up.
pub(crate) fn trim_nul(text: &[u8]) -> &[u8] {
    text.iter().position(|&byte| byte == 0).map_or(text, |end| &text[..end])
}
