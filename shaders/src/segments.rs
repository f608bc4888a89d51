//! Integer data that lives beside tensors: row indices ([`Ids`]) and the ragged layout of a batch ([`Segments`]).

use std::sync::Arc;

use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::gpu::{Binding, GpuBuffer};

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

    /// The values as a kernel sees them, on the GPU backend.
    pub(crate) fn binding(&self, op: &'static str) -> Result<Binding<'_>> {
        self.buffer.as_deref().map(Binding::whole).ok_or(Error::MixedDevices { op })
    }
}

/// Which rows of a packed tensor belong to which sequence: sequence `i` owns rows `offsets[i]..offsets[i + 1]`.
/// A sequence may be empty.
#[derive(Clone)]
pub struct Segments {
    offsets: Arc<[usize]>,
    /// The offsets on the device, one more than there are segments.
    device_offsets: Ids,
    /// Pairs (first row, segment) of row tiles of [`ATTENTION_ROWS`] rows, longest segment first: the work list of the
    /// attention kernels.
    tiles: Ids,
}

/// Query rows that one workgroup of the attention kernels works on.
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
        let narrow: Vec<u32> = offsets.iter().map(|&offset| offset as u32).collect();
        let device_offsets = Ids::new(device, &narrow)?;
        let tiles = match device.backend() {
            Backend::Cpu(_) => Ids::new(device, &[])?,
            Backend::Gpu(_) => Ids::new(device, &tile_list(&offsets))?,
        };
        Ok(Segments { offsets: offsets.into(), device_offsets, tiles })
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
    pub fn range(&self, index: usize) -> std::ops::Range<usize> {
        self.offsets[index]..self.offsets[index + 1]
    }

    /// Row ranges of all sequences in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0]..pair[1])
    }

    pub(crate) fn device(&self) -> &Device {
        self.device_offsets.device()
    }

    /// The offsets as a kernel sees them.
    pub(crate) fn offsets(&self, op: &'static str) -> Result<Binding<'_>> {
        self.device_offsets.binding(op)
    }

    /// Pairs (first row, segment) of the tiles of the attention kernels, and their number.
    pub(crate) fn tiles(&self, op: &'static str) -> Result<(Binding<'_>, usize)> {
        Ok((self.tiles.binding(op)?, self.tiles.len() / 2))
    }
}

/// Row tiles of all segments, long segments first so that the last workgroups to start are short ones.
fn tile_list(offsets: &[usize]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..offsets.len() - 1).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(offsets[i + 1] - offsets[i]));
    let mut tiles = Vec::new();
    for segment in order {
        for first in (offsets[segment]..offsets[segment + 1]).step_by(ATTENTION_ROWS) {
            tiles.extend([first as u32, segment as u32]);
        }
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_row_once_and_long_segments_come_first() {
        let tiles = tile_list(&[0, 3, 3, 133]);
        assert_eq!(tiles, [3, 2, 67, 2, 131, 2, 0, 0]);
    }

    #[test]
    fn ranges_follow_lengths() {
        let device = Device::cpu(1).unwrap();
        let segments = Segments::new(&device, &[2, 0, 5]).unwrap();
        assert_eq!(segments.ranges().collect::<Vec<_>>(), [0..2, 2..2, 2..7]);
        assert_eq!(segments.rows(), 7);
    }
}
