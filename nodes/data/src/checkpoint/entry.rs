//! One tensor of a checkpoint: where its elements are, and how they are read, whole or by rows.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::dtype::Dtype;
use super::error::CheckpointError;
use super::hollow::is_hollow;
use super::source::Source;
use super::stored::Stored;
use super::strided::Layout;
use super::zip::Deflated;

/// Elements that are read at once where they must be widened or gathered.
const CHUNK: usize = 1 << 18;

/// The bytes that a tensor is a view of.
#[derive(Clone, Debug)]
pub(super) enum Storage {
    /// Bytes of a file from `start` on.
    File { source: Arc<Source>, start: u64 },
    /// A compressed member of an archive from `start` on, inflated when it is read.
    Deflated { member: Arc<Deflated>, start: u64 },
}

/// A tensor that can be read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) dtype: Dtype,
    pub(super) layout: Layout,
    pub(super) storage: Storage,
    /// Bytes of every element stand in reverse (numpy's `>`).
    pub(super) big_endian: bool,
}

impl Storage {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File { source, .. } => source.path(),
            Self::Deflated { member, .. } => member.path(),
        }
    }
}

/// Elements that are copied from little-endian bytes as they are.
pub(super) trait Element: bytemuck::Pod {
    /// This value with its bytes in reverse.
    #[must_use]
    fn reversed(self) -> Self;
}

macro_rules! element {
    ($($type:ty),*) => {$(
        impl Element for $type {
            fn reversed(self) -> Self {
                let mut bytes = self.to_ne_bytes();
                bytes.reverse();
                Self::from_ne_bytes(bytes)
            }
        }
    )*};
}
element!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

impl Entry {
    pub(super) fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// Elements of one row: all but the first extent multiplied.
    pub(super) fn row_len(&self) -> usize {
        self.layout.shape.iter().skip(1).product()
    }

    /// Rows: the first extent; a tensor without extents has one.
    pub(super) fn rows(&self) -> usize {
        self.layout.shape.first().copied().unwrap_or(1)
    }

    /// The floating point values of some rows, as stored. `None` for other element types.
    pub(super) fn stored(&self, rows: Range<usize>) -> Result<Option<Stored>, CheckpointError> {
        let count = rows.len() * self.row_len();
        let hollow = is_hollow();
        Ok(Some(match self.dtype {
            Dtype::F32 if hollow => Stored::F32(vec![0.0; count]),
            Dtype::F16 if hollow => Stored::F16(vec![0; count]),
            Dtype::Bf16 if hollow => Stored::Bf16(vec![0; count]),
            Dtype::F64 if hollow => Stored::F64(vec![0.0; count]),
            Dtype::F32 => Stored::F32(self.elements(rows)?),
            Dtype::F16 => Stored::F16(self.elements(rows)?),
            Dtype::Bf16 => Stored::Bf16(self.elements(rows)?),
            Dtype::F64 => Stored::F64(self.elements(rows)?),
            _ => return Ok(None),
        }))
    }

    /// The floating point values of some rows in single precision, widened in pieces. `None` for other element types.
    pub(super) fn widened(&self, rows: Range<usize>) -> Result<Option<Vec<f32>>, CheckpointError> {
        if self.dtype == Dtype::F32 || !self.dtype.is_float() {
            return Ok(self.stored(rows)?.map(Stored::widen));
        }
        // Pieces of what is strided or compressed would each cost as much as the whole.
        let piecewise = self.layout.is_contiguous() && matches!(self.storage, Storage::File { .. });
        let step = if piecewise { (CHUNK / self.row_len().max(1)).max(1) } else { rows.len().max(1) };
        let mut out = Vec::with_capacity(rows.len() * self.row_len());
        let mut from = rows.start;
        while from < rows.end {
            let to = rows.end.min(from.saturating_add(step));
            out.extend(self.stored(from..to)?.map(Stored::widen).unwrap_or_default());
            from = to;
        }
        Ok(Some(out))
    }

    /// Whole numbers and truth values of some rows. `None` for other element types and for values beyond `i64`.
    pub(super) fn integers(&self, rows: Range<usize>) -> Result<Option<Vec<i64>>, CheckpointError> {
        fn wide<T: Copy + Into<i64>>(values: &[T]) -> Vec<i64> {
            values.iter().map(|&value| value.into()).collect()
        }
        Ok(Some(match self.dtype {
            Dtype::Bool | Dtype::U8 => wide(&self.elements::<u8>(rows)?),
            Dtype::I8 => wide(&self.elements::<i8>(rows)?),
            Dtype::U16 => wide(&self.elements::<u16>(rows)?),
            Dtype::I16 => wide(&self.elements::<i16>(rows)?),
            Dtype::U32 => wide(&self.elements::<u32>(rows)?),
            Dtype::I32 => wide(&self.elements::<i32>(rows)?),
            Dtype::I64 => self.elements::<i64>(rows)?,
            Dtype::U64 => {
                let values = self.elements::<u64>(rows)?;
                return Ok(values.into_iter().map(|value| i64::try_from(value).ok()).collect());
            }
            _ => return Ok(None),
        }))
    }

    /// Some rows in row-major order. `T` must have the width of the element type.
    fn elements<T: Element>(&self, rows: Range<usize>) -> Result<Vec<T>, CheckpointError> {
        let part = self.layout.rows(rows);
        let mut out = if part.is_contiguous() {
            let mut out = vec![T::zeroed(); part.count()];
            self.read(part.offset, &mut out)?;
            out
        } else {
            let (first, span) = part.span();
            let mut held = vec![T::zeroed(); span];
            self.read(first, &mut held)?;
            part.gather(first, &held)
        };
        if self.big_endian != cfg!(target_endian = "big") {
            for value in &mut out {
                *value = value.reversed();
            }
        }
        Ok(out)
    }

    /// Fills `out` with the elements of the storage from `first` on.
    fn read<T: Element>(&self, first: usize, out: &mut [T]) -> Result<(), CheckpointError> {
        if out.is_empty() {
            return Ok(());
        }
        let from = first * size_of::<T>();
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
        match &self.storage {
            Storage::File { source, start } => {
                source.read_into(start + from as u64, bytes)?;
            }
            Storage::Deflated { member, start } => member.read_into(start + from as u64, bytes)?,
        }
        Ok(())
    }
}
