//! Integer data that lives beside tensors: row indices ([`Ids`]) and the ragged layout of a batch ([`Segments`]).

use std::ops::Range;
use std::sync::Arc;

use crate::device::{Backend, Device};
use crate::error::{DeviceError, Error, Result};
use crate::gpu::{Binding, Gpu, GpuBuffer, WINDOW_ROWS};

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
        self.buffer
            .as_deref()
            .map(|buffer| buffer.rows(&(0..self.len()), 1))
            .ok_or(Error::MixedDevices { op })
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

/// Whole segments that fit into one binding, and the work list of the attention kernels for them.
pub(crate) struct SegmentWindow {
    /// Rows to bind.
    pub(crate) rows: Range<usize>,
    /// First row, and first row and end of the segment, of each tile of [`ATTENTION_ROWS`] rows, counted from the first bound
    /// row; longest segment first, so that the last workgroups to start are short ones.
    tiles: Ids,
    /// Pairs of rows that attend to each other.
    pub(crate) pairs: f64,
}

impl SegmentWindow {
    /// The work list as a kernel sees it.
    pub(crate) fn tiles(&self, op: &'static str) -> Result<Binding<'_>> {
        self.tiles.binding(op)
    }

    /// Number of tiles.
    pub(crate) fn tile_count(&self) -> usize {
        self.tiles.len() / 3
    }
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
        let tiles = match device.backend() {
            Backend::Cpu(_) => Ids::new(device, &[])?,
            Backend::Gpu(_) => Ids::new(device, &tile_list(&offsets, 0))?,
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

    /// Cuts the segments into groups whose rows of `width` f32 values fit into one binding each. One group, in most cases.
    pub(crate) fn windows(&self, gpu: &Gpu, width: usize) -> Result<Vec<SegmentWindow>> {
        let (row_bytes, limit) = (width as u64 * 4, gpu.largest_binding());
        if self.rows() as u64 * row_bytes <= limit {
            let tiles = self.tiles.clone();
            return Ok(vec![SegmentWindow { rows: 0..self.rows(), tiles, pairs: pairs(&self.offsets) }]);
        }
        let groups = group(&self.offsets, (limit / row_bytes) as usize).map_err(|rows| {
            let (device, bytes) = (gpu.info().name, rows as u64 * row_bytes);
            DeviceError::TooLarge { device, bytes, limit }
        })?;
        let window = |segments: Range<usize>| {
            let offsets = &self.offsets[segments.start..=segments.end];
            let rows = aligned(offsets[0])..offsets[segments.len()];
            let tiles = Ids::new(self.device(), &tile_list(offsets, rows.start))?;
            Ok(SegmentWindow { rows, tiles, pairs: pairs(offsets) })
        };
        groups.into_iter().map(window).collect()
    }
}

/// The last row up to `row` at which a binding can start.
fn aligned(row: usize) -> usize {
    row / WINDOW_ROWS * WINDOW_ROWS
}

/// Cuts segments into groups of at most `most` rows from the aligned row before the first. If a segment does not fit, the
/// rows that it needs.
fn group(offsets: &[usize], most: usize) -> Result<Vec<Range<usize>>, usize> {
    let (mut groups, mut first) = (Vec::new(), 0);
    for segment in 0..offsets.len() - 1 {
        if offsets[segment + 1] - aligned(offsets[first]) > most {
            if first < segment {
                groups.push(first..segment);
            }
            first = segment;
            let rows = offsets[segment + 1] - aligned(offsets[segment]);
            if rows > most {
                return Err(rows);
            }
        }
    }
    groups.push(first..offsets.len() - 1);
    Ok(groups)
}

/// Pairs of rows in one segment.
fn pairs(offsets: &[usize]) -> f64 {
    offsets.windows(2).map(|pair| ((pair[1] - pair[0]) as f64).powi(2)).sum()
}

/// Row tiles of all segments, counted from row `base`, long segments first.
fn tile_list(offsets: &[usize], base: usize) -> Vec<u32> {
    let mut order: Vec<usize> = (0..offsets.len() - 1).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(offsets[i + 1] - offsets[i]));
    let mut tiles = Vec::new();
    for segment in order {
        let rows = offsets[segment] - base..offsets[segment + 1] - base;
        for first in rows.clone().step_by(ATTENTION_ROWS) {
            tiles.extend([first as u32, rows.start as u32, rows.end as u32]);
        }
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_row_once_and_long_segments_come_first() {
        let tiles = tile_list(&[0, 3, 3, 133], 0);
        assert_eq!(tiles, [3, 3, 133, 67, 3, 133, 131, 3, 133, 0, 0, 3]);
        assert_eq!(tile_list(&[256, 260], 256), [0, 0, 4]);
    }

    #[test]
    fn groups_hold_whole_segments_and_start_aligned() {
        assert_eq!(group(&[0, 100, 200, 200, 300], 300).unwrap(), std::slice::from_ref(&(0..4)));
        assert_eq!(group(&[0, 100, 200, 300, 700], 500), Ok(vec![0..3, 3..4]));
        // The second group starts at row 128, not 200.
        assert_eq!(group(&[0, 200, 330], 202), Ok(vec![0..1, 1..2]));
        assert_eq!(group(&[0, 200, 331], 202), Err(203));
        assert_eq!(group(&[0, 0, 0], 5).unwrap(), std::slice::from_ref(&(0..2)));
    }

    #[test]
    fn ranges_follow_lengths() {
        let device = Device::cpu(1).unwrap();
        let segments = Segments::new(&device, &[2, 0, 5]).unwrap();
        assert_eq!(segments.ranges().collect::<Vec<_>>(), [0..2, 2..2, 2..7]);
        assert_eq!(segments.rows(), 7);
    }
}
