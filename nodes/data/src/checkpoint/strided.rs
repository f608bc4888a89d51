//! Shape, strides and offset of a tensor inside its storage, checked against the storage once and trusted afterwards.

use std::ops::Range;

/// Elements that a view may have beyond those of its storage (repeated rows of a mask and the like).
const MAX_REPEATED: usize = 1 << 24;
/// The most extents of a tensor; numpy allows 64.
const MAX_RANK: usize = 64;

/// A view of a storage, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) shape: Vec<usize>,
    strides: Vec<usize>,
    pub(super) offset: usize,
}

impl Layout {
    /// A row-major tensor of `available` elements or fewer from `offset` on. The error says what does not fit.
    pub(super) fn row_major(shape: Vec<usize>, offset: usize, available: usize) -> Result<Self, String> {
        let strides = row_major_strides(&shape).ok_or_else(|| format!("the shape {shape:?} is absurd"))?;
        Self::new(shape, strides, offset, available)
    }

    /// A column-major tensor, as Fortran and some numpy files have them.
    pub(super) fn column_major(shape: Vec<usize>, offset: usize, available: usize) -> Result<Self, String> {
        let reversed: Vec<usize> = shape.iter().rev().copied().collect();
        let mut strides =
            row_major_strides(&reversed).ok_or_else(|| format!("the shape {shape:?} is absurd"))?;
        strides.reverse();
        Self::new(shape, strides, offset, available)
    }

    /// Any view of a storage of `available` elements. The error says what does not fit.
    pub(super) fn new(
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        available: usize,
    ) -> Result<Self, String> {
        if shape.len() > MAX_RANK {
            return Err(format!("it has {} extents, the most is {MAX_RANK}", shape.len()));
        }
        if strides.len() != shape.len() {
            return Err(format!("it has {} extents and {} strides", shape.len(), strides.len()));
        }
        let layout = Self { shape, strides, offset };
        let beyond = || {
            format!(
                "the shape {:?} with strides {:?} from {} on goes beyond the {available} elements of its storage",
                layout.shape, layout.strides, layout.offset
            )
        };
        let count = layout.shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent));
        // Products that only fit because another extent is zero must not overflow later either.
        let nonzero = layout.shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent.max(1)));
        let (Some(count), Some(_)) = (count, nonzero) else {
            return Err(beyond());
        };
        if count == 0 {
            return Ok(layout);
        }
        let end = layout.end().ok_or_else(beyond)?;
        if end > available || count > available.saturating_add(MAX_REPEATED) {
            return Err(beyond());
        }
        Ok(layout)
    }

    /// The shape of something that is never read.
    pub(super) fn listed(shape: Vec<usize>) -> Self {
        Self { strides: vec![0; shape.len()], shape, offset: 0 }
    }

    /// One past the last element that is touched; `None` where it cannot be counted. For views with elements.
    fn end(&self) -> Option<usize> {
        let mut last = self.offset;
        for (&extent, &stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add((extent - 1).checked_mul(stride)?)?;
        }
        last.checked_add(1)
    }

    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the elements stand one after the other in row-major order.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut wanted = 1;
        for (&extent, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if extent != 1 && stride != wanted {
                return self.count() == 0;
            }
            wanted *= extent;
        }
        true
    }

    /// The view of some rows; the whole for a tensor without extents.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        let mut part = self.clone();
        if let (Some(extent), Some(&stride)) = (part.shape.first_mut(), self.strides.first()) {
            *extent = rows.len();
            // Rows of an empty view are never read.
            part.offset = part.offset.saturating_add(rows.start.saturating_mul(stride));
        }
        part
    }

    /// First element and number of elements of the smallest piece of the storage that holds the view.
    pub(super) fn span(&self) -> (usize, usize) {
        if self.count() == 0 {
            return (self.offset, 0);
        }
        (self.offset, self.end().map_or(0, |end| end - self.offset))
    }

    /// The elements in row-major order out of a piece of the storage that begins at `first`.
    pub(super) fn gather<T: Copy>(&self, first: usize, held: &[T]) -> Vec<T> {
        let count = self.count();
        let mut out = Vec::with_capacity(count);
        let mut index = vec![0_usize; self.shape.len()];
        let mut at = self.offset - first;
        for _ in 0..count {
            out.push(held[at]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= index[axis] * self.strides[axis];
                index[axis] = 0;
            }
        }
        out
    }
}

fn row_major_strides(shape: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![1_usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].checked_mul(shape[axis].max(1))?;
    }
    Some(strides)
}
