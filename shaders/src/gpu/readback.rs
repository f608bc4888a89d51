//! Copying results to the host through staging buffers that are used again and again.

use std::sync::{Mutex, mpsc};

use super::staging::Staging;
use super::{Gpu, GpuBuffer, lock};
use crate::error::DeviceError;
use crate::memory::size_class;

/// Staging buffers that are kept for reuse.
const KEPT: usize = 3;
/// Larger staging buffers are not kept, and results that are waited for come in pieces of this size.
const PIECE: u64 = 16 << 20;

/// Unused staging buffers for readbacks.
#[derive(Default)]
pub(super) struct Unused {
    free: Mutex<Vec<Staging>>,
}

impl Unused {
    fn take(&self, bytes: u64) -> Option<Staging> {
        let mut free = lock(&self.free);
        let fits = free.iter().enumerate().filter(|(_, staging)| staging.raw.size() >= bytes);
        let at = fits.min_by_key(|(_, staging)| staging.raw.size()).map(|(at, _)| at)?;
        Some(free.swap_remove(at))
    }

    fn give_back(&self, staging: Staging) {
        let mut free = lock(&self.free);
        if staging.raw.size() > PIECE {
            return;
        }
        if free.len() == KEPT {
            free.remove(0);
        }
        free.push(staging);
    }
}

/// A copy to the host that is on its way.
pub(crate) struct Readback {
    /// Staging buffer and the submission that fills it; none for an empty tensor and in a rehearsal.
    copy: Option<(Staging, wgpu::SubmissionIndex)>,
    bytes: u64,
}

impl Gpu {
    /// The first `bytes` of `buffer`, after everything recorded so far; zeros in a rehearsal.
    pub(crate) fn read(&self, buffer: &GpuBuffer, bytes: u64) -> Result<Vec<u8>, DeviceError> {
        if bytes == 0 || self.rehearsing() {
            self.faults.check()?;
            return Ok(vec![0; bytes as usize]);
        }
        let piece = |first: u64| self.copy(buffer, first, PIECE.min(bytes - first));
        let mut next = Some(piece(0)?);
        // Waits for the submissions one by one, which tells how fast they are.
        self.wait()?;
        let mut values = Vec::with_capacity(bytes as usize);
        while let Some(readback) = next.take() {
            // The next piece is on its way while this one is taken over.
            let first = values.len() as u64 + readback.bytes;
            if first < bytes {
                next = Some(piece(first)?);
            }
            self.finish_into(readback, &mut values)?;
        }
        Ok(values)
    }

    /// Starts a copy of the first `bytes` of `buffer`, after everything recorded so far. More work may be recorded before
    /// [`Gpu::finish_read`].
    pub(crate) fn read_later(&self, buffer: &GpuBuffer, bytes: u64) -> Result<Readback, DeviceError> {
        if bytes == 0 || self.rehearsing() {
            self.faults.check()?;
            return Ok(Readback { copy: None, bytes });
        }
        self.copy(buffer, 0, bytes)
    }

    /// Starts a copy of `bytes` bytes from `first` on.
    fn copy(&self, buffer: &GpuBuffer, first: u64, bytes: u64) -> Result<Readback, DeviceError> {
        let source = buffer.raw()?;
        self.flush()?;
        let staging = match self.unused.take(bytes) {
            Some(staging) => staging,
            None => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                self.staging(size_class(bytes), usage)?
            }
        };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(source, first, &staging.raw, 0, bytes);
        let submission = self.queue.submit([encoder.finish()]);
        Ok(Readback { copy: Some((staging, submission)), bytes })
    }

    /// Waits for a copy and gives its bytes.
    pub(crate) fn finish_read(&self, readback: Readback) -> Result<Vec<u8>, DeviceError> {
        if readback.copy.is_none() {
            return Ok(vec![0; readback.bytes as usize]);
        }
        let mut values = Vec::with_capacity(readback.bytes as usize);
        self.finish_into(readback, &mut values)?;
        Ok(values)
    }

    fn finish_into(&self, readback: Readback, values: &mut Vec<u8>) -> Result<(), DeviceError> {
        let Readback { copy: Some((staging, submission)), bytes } = readback else { return Ok(()) };
        self.map(
            &staging.raw,
            bytes,
            || self.wait_for(Some(submission)),
            |mapped| {
                values.extend_from_slice(mapped);
            },
        )?;
        staging.raw.unmap();
        self.unused.give_back(staging);
        Ok(())
    }

    /// Gives the first `bytes` of a buffer of the host to `take`; the buffer stays mapped. `wait` must poll the device until all commands that
    /// write the buffer have ended.
    pub(super) fn map(
        &self,
        buffer: &wgpu::Buffer,
        bytes: u64,
        wait: impl FnOnce() -> Result<(), DeviceError>,
        take: impl FnOnce(&[u8]),
    ) -> Result<(), DeviceError> {
        let (sender, receiver) = mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
            // The receiver is gone only if this function has already failed.
            let _ = sender.send(result);
        });
        wait()?;
        let failed = |message: String| DeviceError::Lost { device: self.faults.device(), message };
        match receiver.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        }
        let view = buffer.get_mapped_range(..bytes).map_err(|error| failed(error.to_string()))?;
        take(&view);
        Ok(())
    }
}
