//! Where the non-zeros of a sparse matrix are.

use std::sync::{Arc, OnceLock};

use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::segments::{Ids, Segments};

/// The places of the non-zeros of a matrix in compressed rows, on a device; their values are a tensor of their own, in the
/// same order. Rows may be empty; a place that occurs twice counts twice. Clones share everything.
#[derive(Clone)]
pub struct Csr {
    pattern: Arc<Pattern>,
}

struct Pattern {
    rows: Side,
    /// Number of columns of the matrix.
    width: usize,
    /// Row of each non-zero.
    row_of: Ids,
    /// The transposed matrix; made when a gradient first needs it.
    columns: OnceLock<Arc<Side>>,
}

/// The non-zeros by rows, or by columns.
pub(crate) struct Side {
    /// Non-zeros of row i are `offsets[i]..offsets[i + 1]`.
    pub(crate) offsets: Vec<usize>,
    /// Column of each non-zero (row, if by columns).
    pub(crate) indices: Ids,
    /// Where the value of each non-zero is in the tensor of values, if they are not in order.
    pub(crate) places: Option<Ids>,
}

impl Csr {
    /// A matrix of `offsets.len() - 1` rows and `width` columns: row i has its non-zeros at
    /// `columns[offsets[i]..offsets[i + 1]]`.
    ///
    /// # Errors
    /// The offsets do not rise from 0 to the number of columns given, or a column is outside of the matrix; the device's
    /// errors.
    pub fn new(device: &Device, offsets: &[usize], columns: &[u32], width: usize) -> Result<Csr> {
        const OP: &str = "Csr::new";
        let ends = offsets.first() == Some(&0) && offsets.last() == Some(&columns.len());
        if !ends || !offsets.is_sorted() {
            let message =
                format!("the offsets must rise from 0 to the number of non-zeros, {}", columns.len());
            return Err(Error::shape(OP, message));
        }
        if u32::try_from(columns.len().max(offsets.len())).is_err() {
            return Err(Error::shape(
                OP,
                "more rows or non-zeros than 32 bits can count; use smaller batches",
            ));
        }
        let row_of: Vec<u32> = offsets
            .windows(2)
            .zip(0..)
            .flat_map(|(pair, row)| std::iter::repeat_n(row, pair[1] - pair[0]))
            .collect();
        let indices = Ids::new(device, columns)?;
        if let Some(largest) = indices.largest().filter(|&column| column as usize >= width) {
            return Err(Error::shape(
                OP,
                format!("column {largest} is outside of a matrix of {width} columns"),
            ));
        }
        let rows = Side { offsets: offsets.to_vec(), indices, places: None };
        let row_of = Ids::new(device, &row_of)?;
        Ok(Csr { pattern: Arc::new(Pattern { rows, width, row_of, columns: OnceLock::new() }) })
    }

    /// One row for each segment, with a non-zero for each row of the segment.
    pub(crate) fn of_segments(segments: &Segments) -> Result<Csr> {
        let mut offsets = vec![0];
        offsets.extend(segments.ranges().map(|range| range.end));
        let columns: Vec<u32> = (0..segments.rows() as u32).collect();
        Csr::new(segments.device(), &offsets, &columns, segments.rows())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.pattern.rows.offsets.len() - 1
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.pattern.width
    }

    /// Number of non-zeros.
    pub fn nonzeros(&self) -> usize {
        self.pattern.row_of.len()
    }

    pub(crate) fn device(&self) -> &Device {
        self.pattern.row_of.device()
    }

    /// Row of each non-zero.
    pub(crate) fn row_of(&self) -> &Ids {
        &self.pattern.row_of
    }

    /// The non-zeros by rows.
    pub(crate) fn by_rows(&self) -> &Side {
        &self.pattern.rows
    }

    /// The non-zeros by columns, those of a column in the order of the rows.
    pub(crate) fn by_columns(&self) -> Result<Arc<Side>> {
        if let Some(side) = self.pattern.columns.get() {
            return Ok(Arc::clone(side));
        }
        let columns = self.pattern.rows.indices.values();
        let mut offsets = vec![0; self.pattern.width + 1];
        for &column in columns {
            offsets[column as usize + 1] += 1;
        }
        for column in 0..self.pattern.width {
            offsets[column + 1] += offsets[column];
        }
        let mut next = offsets.clone();
        let (mut rows, mut places) = (vec![0; columns.len()], vec![0; columns.len()]);
        for ((&column, &row), place) in columns.iter().zip(self.pattern.row_of.values()).zip(0..) {
            let at = &mut next[column as usize];
            rows[*at] = row;
            places[*at] = place;
            *at += 1;
        }
        let indices = Ids::new(self.device(), &rows)?;
        let places = Some(Ids::new(self.device(), &places)?);
        let side = Arc::new(Side { offsets, indices, places });
        if let Backend::Gpu(gpu) = self.device().backend()
            && gpu.rehearsing()
        {
            // Nothing was uploaded that a later product could use.
            return Ok(side);
        }
        Ok(Arc::clone(self.pattern.columns.get_or_init(|| side)))
    }
}

impl std::fmt::Debug for Csr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Csr[{}, {}] with {} non-zeros", self.rows(), self.columns(), self.nonzeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_in_the_order_of_the_rows() {
        let device = Device::cpu(1).unwrap();
        let csr = Csr::new(&device, &[0, 2, 2, 5], &[3, 0, 3, 1, 3], 5).unwrap();
        assert_eq!(csr.row_of().values(), [0, 0, 2, 2, 2]);
        let side = csr.by_columns().unwrap();
        assert_eq!(side.offsets, [0, 1, 2, 2, 5, 5]);
        assert_eq!(side.indices.values(), [0, 2, 0, 2, 2]);
        assert_eq!(side.places.as_ref().unwrap().values(), [1, 3, 0, 2, 4]);
    }

    #[test]
    fn refuses_what_is_no_matrix() {
        let device = Device::cpu(1).unwrap();
        for offsets in [&[][..], &[0], &[1, 2], &[0, 3], &[0, 2, 1, 2]] {
            assert!(Csr::new(&device, offsets, &[0, 1], 2).is_err(), "{offsets:?}");
        }
        assert!(Csr::new(&device, &[0, 2], &[0, 2], 2).is_err());
        assert_eq!(Csr::new(&device, &[0], &[], 0).unwrap().rows(), 0);
    }
}
