//! Integer data that lives beside tensors: row indices ([`Ids`]) and the ragged layout of a batch ([`Segments`]).

use std::ops::Range;
use std::sync::Arc;

use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::gpu::{Binding, GpuBuffer, WINDOW_ROWS};
use crate::tensor::Tensor;

/// Non-negative integers on a device: token ids, class labels, row numbers.
#[derive(Clone)]
pub struct Ids {
    device: Device,
    values: Arc<[u32]>,
    largest: Option<u32>,
    buffer: Option<Arc<GpuBuffer>>,
}

impl Ids {
    /// Uploads `values`.
    ///
    /// # Errors
    /// The device's errors (out of memory, lost).
    pub fn new(device: &Device, values: &[u32]) -> Result<Ids> {
        let buffer = match device.backend() {
            Backend::Cpu(_) => None,
            Backend::Gpu(gpu) => Some(Arc::new(gpu.upload(bytemuck::cast_slice(values))?)),
        };
        Ok(Ids {
            device: device.clone(),
            values: values.into(),
            largest: values.iter().copied().max(),
            buffer,
        })
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values, on the host.
    pub fn values(&self) -> &[u32] {
        &self.values
    }

    /// The largest value; none when there are no values.
    pub fn largest(&self) -> Option<u32> {
        self.largest
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Checks that the values are on the device of `x`.
    pub(crate) fn expect_home(&self, op: &'static str, x: &Tensor) -> Result<()> {
        if self.device.same(x.device()) { Ok(()) } else { Err(Error::MixedDevices { op }) }
    }

    /// Rows `rows` of `width` values each as a kernel sees them, on the GPU backend: from an aligned row at or before the
    /// first one; and that row's number.
    pub(crate) fn part(
        &self,
        op: &'static str,
        rows: &Range<usize>,
        width: usize,
    ) -> Result<(Binding<'_>, usize)> {
        let buffer = self.buffer.as_deref().ok_or(Error::MixedDevices { op })?;
        let first = aligned(rows.start);
        if rows.is_empty() {
            // Something must be bound; every buffer has this much.
            return Ok((buffer.rows(&(0..64), 1), first));
        }
        Ok((buffer.rows(&(first..rows.end), width), first))
    }

    /// The values as a kernel sees them, on the GPU backend.
    pub(crate) fn binding(&self, op: &'static str) -> Result<Binding<'_>> {
        self.buffer
            .as_deref()
            .map(|buffer| buffer.rows(&(0..self.len()), 1))
            .ok_or(Error::MixedDevices { op })
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ids[{}] on {}", self.len(), self.device.info().name)
    }
}

/// Which rows of a packed tensor belong to which sequence: sequence `i` owns rows `offsets[i]..offsets[i + 1]`.
/// A sequence may be empty.
#[derive(Clone)]
pub struct Segments {
    offsets: Arc<[usize]>,
    /// Work list of the attention kernels, for all segments.
    tiles: Ids,
}

/// A part of a segment that gets results, and the part of the segment that its rows attend to.
pub(crate) struct Share {
    pub(crate) rows: Range<usize>,
    pub(crate) others: Range<usize>,
}

/// Rows of a tile of the attention kernels.
pub(crate) const ATTENTION_ROWS: usize = 64;

impl Segments {
    /// A layout of consecutive sequences of the given lengths.
    ///
    /// # Errors
    /// The device's errors (out of memory, lost).
    pub fn new(device: &Device, lengths: &[usize]) -> Result<Segments> {
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        let mut end = 0;
        offsets.push(0);
        for length in lengths {
            end += length;
            offsets.push(end);
        }
        let tiles = match device.backend() {
            Backend::Cpu(_) => Ids::new(device, &[])?,
            Backend::Gpu(_) => {
                let ranges = offsets.windows(2).map(|pair| pair[0]..pair[1]);
                let whole = |rows: Range<usize>| Share { rows: rows.clone(), others: rows };
                Ids::new(device, &tile_list(ranges.map(whole).collect()))?
            }
        };
        Ok(Segments { offsets: offsets.into(), tiles })
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows of all sequences together.
    pub fn rows(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// Row range of sequence `index`.
    pub fn range(&self, index: usize) -> Range<usize> {
        self.offsets[index]..self.offsets[index + 1]
    }

    /// Row ranges of all sequences in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1])
    }

    pub(crate) fn device(&self) -> &Device {
        self.tiles.device()
    }

    /// Checks that the sequences cover the rows of `x`, which has the given name, on its device.
    pub(crate) fn expect(&self, op: &'static str, name: &str, x: &Tensor) -> Result<()> {
        let rows = x.shape().first().copied().unwrap_or(0);
        if self.rows() != rows {
            let message = format!("the segments cover {} rows, `{name}` has {rows}", self.rows());
            return Err(Error::shape(op, message));
        }
        self.tiles.expect_home(op, x)
    }

    /// Work list of the attention kernels, for all segments.
    pub(crate) fn tiles(&self) -> &Ids {
        &self.tiles
    }
}

/// The last row up to `row` at which a binding can start.
pub(crate) fn aligned(row: usize) -> usize {
    row / WINDOW_ROWS * WINDOW_ROWS
}

/// The work list of the attention kernels: first row, and end of its share, of each tile of [`ATTENTION_ROWS`] rows, and
/// first row and end of the others. Rows with most others come first, so that the last workgroups to start are short ones.
pub(crate) fn tile_list(mut shares: Vec<Share>) -> Vec<u32> {
    shares.sort_by_key(|share| std::cmp::Reverse(share.others.len()));
    let mut tiles = Vec::new();
    for Share { rows, others } in shares {
        for first in rows.clone().step_by(ATTENTION_ROWS) {
            tiles.extend([first, rows.end, others.start, others.end].map(|row| row as u32));
        }
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_row_once_and_long_segments_come_first() {
        let share = |rows: Range<usize>| Share { rows: rows.clone(), others: rows };
        let tiles = tile_list(vec![share(0..3), share(3..3), share(3..133)]);
        assert_eq!(tiles, [3, 133, 3, 133, 67, 133, 3, 133, 131, 133, 3, 133, 0, 3, 0, 3]);
    }

    #[test]
    fn ranges_follow_lengths() {
        let device = Device::cpu(1).unwrap();
        let segments = Segments::new(&device, &[2, 0, 5]).unwrap();
        assert_eq!(segments.ranges().collect::<Vec<_>>(), [0..2, 2..2, 2..7]);
        assert_eq!(segments.rows(), 7);
    }
}
