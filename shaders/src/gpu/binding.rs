//! Parts of buffers as kernels see them. A tensor may be larger than what the adapter lets one binding cover; operations
//! then run on windows of its rows.

use std::num::NonZeroU64;
use std::ops::Range;

use super::{Gpu, GpuBuffer};
use crate::error::DeviceError;

/// Windows start at multiples of this many rows, so that they are aligned (256 bytes) for rows of any width of values of
/// two bytes or more.
pub(crate) const WINDOW_ROWS: usize = 128;

/// A range of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Binding<'a> {
    buffer: &'a GpuBuffer,
    offset: u64,
    /// All of the buffer that is its tensor's if none.
    bytes: Option<NonZeroU64>,
}

impl<'a> Binding<'a> {
    pub(crate) fn whole(buffer: &'a GpuBuffer) -> Binding<'a> {
        Binding { buffer, offset: 0, bytes: None }
    }

    /// Bytes that a kernel can reach.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.map_or(self.buffer.bytes(), NonZeroU64::get)
    }

    pub(super) fn resource(&self) -> Result<wgpu::BindingResource<'a>, DeviceError> {
        let buffer = self.buffer.raw()?;
        // The memory may be larger than the tensor, and than what can be bound.
        let size = NonZeroU64::new(self.bytes());
        let binding = wgpu::BufferBinding { buffer, offset: self.offset, size };
        Ok(wgpu::BindingResource::Buffer(binding))
    }
}

impl GpuBuffer {
    /// Rows `rows` of `width` f32 values. The first must be a multiple of [`WINDOW_ROWS`].
    pub(crate) fn rows(&self, rows: &Range<usize>, width: usize) -> Binding<'_> {
        debug_assert!(rows.start.is_multiple_of(WINDOW_ROWS), "window at row {}", rows.start);
        let row_bytes = width as u64 * 4;
        // Kernels may read in vectors of four.
        let bytes = (rows.len() as u64 * row_bytes).next_multiple_of(16);
        Binding { buffer: self, offset: rows.start as u64 * row_bytes, bytes: NonZeroU64::new(bytes) }
    }

    /// As [`GpuBuffer::rows`], of 16-bit values packed two to a word.
    pub(crate) fn packed_rows(&self, rows: &Range<usize>, width: usize) -> Binding<'_> {
        debug_assert!(rows.start.is_multiple_of(WINDOW_ROWS), "window at row {}", rows.start);
        let row_bytes = width as u64 * 2;
        let bytes = (rows.len() as u64 * row_bytes).next_multiple_of(16);
        Binding { buffer: self, offset: rows.start as u64 * row_bytes, bytes: NonZeroU64::new(bytes) }
    }
}

impl Gpu {
    /// Cuts `rows` rows into windows such that `width` f32 values a row fit into one binding. One window, in most cases.
    pub(crate) fn windows(&self, rows: usize, width: usize) -> Result<Vec<Range<usize>>, DeviceError> {
        let (row_bytes, limit) = (width as u64 * 4, self.largest_binding());
        if rows as u64 * row_bytes <= limit {
            return Ok(std::iter::once(0..rows).collect());
        }
        let most = (limit / row_bytes) as usize / WINDOW_ROWS * WINDOW_ROWS;
        if most == 0 {
            let bytes = row_bytes * WINDOW_ROWS as u64;
            return Err(DeviceError::TooLarge { device: self.info().name, bytes, limit });
        }
        Ok((0..rows).step_by(most).map(|first| first..rows.min(first + most)).collect())
    }
}
