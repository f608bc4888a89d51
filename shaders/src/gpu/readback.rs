//! Copying results to the host through staging buffers that are used again and again.

use std::sync::{Mutex, mpsc};

use super::{Gpu, GpuBuffer, lock};
use crate::error::DeviceError;
use crate::memory::size_class;

/// Staging buffers that are kept for reuse.
const KEPT: usize = 3;
/// Larger staging buffers are not kept.
const LARGEST_KEPT: u64 = 64 << 20;

/// Unused staging buffers for readbacks.
#[derive(Default)]
pub(super) struct Staging {
    free: Mutex<Vec<wgpu::Buffer>>,
}

impl Staging {
    fn take(&self, bytes: u64) -> Option<wgpu::Buffer> {
        let mut free = lock(&self.free);
        let fits = free.iter().enumerate().filter(|(_, buffer)| buffer.size() >= bytes);
        let at = fits.min_by_key(|(_, buffer)| buffer.size()).map(|(at, _)| at)?;
        Some(free.swap_remove(at))
    }

    fn give_back(&self, buffer: wgpu::Buffer) {
        let mut free = lock(&self.free);
        if buffer.size() > LARGEST_KEPT {
            return;
        }
        if free.len() == KEPT {
            free.remove(0);
        }
        free.push(buffer);
    }
}

/// A copy to the host that is on its way.
pub(crate) struct Readback {
    /// Staging buffer and the submission that fills it; none for an empty tensor and in a rehearsal.
    copy: Option<(wgpu::Buffer, wgpu::SubmissionIndex)>,
    bytes: u64,
}

impl Gpu {
    /// The first `bytes` of `buffer`, after everything recorded so far; zeros in a rehearsal.
    pub(crate) fn read(&self, buffer: &GpuBuffer, bytes: u64) -> Result<Vec<u8>, DeviceError> {
        let readback = self.read_later(buffer, bytes)?;
        // Waits for the submissions one by one, which tells how fast they are.
        self.wait()?;
        self.finish_read(readback)
    }

    /// Starts a copy of the first `bytes` of `buffer`, after everything recorded so far. More work may be recorded before
    /// [`Gpu::finish_read`].
    pub(crate) fn read_later(&self, buffer: &GpuBuffer, bytes: u64) -> Result<Readback, DeviceError> {
        if bytes == 0 || self.rehearsing() {
            self.faults.check()?;
            return Ok(Readback { copy: None, bytes });
        }
        let source = buffer.raw()?;
        self.flush()?;
        let descriptor = wgpu::BufferDescriptor {
            label: Some("readback"),
            size: size_class(bytes),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let staging = match self.staging.take(bytes) {
            Some(staging) => staging,
            None => self.faults.scoped(&self.device, || self.device.create_buffer(&descriptor))?,
        };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(source, 0, &staging, 0, bytes);
        let submission = self.queue.submit([encoder.finish()]);
        Ok(Readback { copy: Some((staging, submission)), bytes })
    }

    /// Waits for a copy and gives its bytes.
    pub(crate) fn finish_read(&self, readback: Readback) -> Result<Vec<u8>, DeviceError> {
        let Readback { copy, bytes } = readback;
        let Some((staging, submission)) = copy else {
            return Ok(vec![0; bytes as usize]);
        };
        let values = self.map(&staging, bytes, || self.wait_for(Some(submission)))?;
        staging.unmap();
        self.staging.give_back(staging);
        Ok(values)
    }

    /// The first `bytes` of a buffer of the host, which stays mapped. `wait` must poll the device until all commands that
    /// write the buffer have ended.
    pub(super) fn map(
        &self,
        buffer: &wgpu::Buffer,
        bytes: u64,
        wait: impl FnOnce() -> Result<(), DeviceError>,
    ) -> Result<Vec<u8>, DeviceError> {
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
        Ok(view.to_vec())
    }
}
