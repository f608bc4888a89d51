//! Copying results to the host through a staging buffer.

use std::sync::mpsc;

use super::{Gpu, GpuBuffer};
use crate::error::DeviceError;

impl Gpu {
    /// The first `bytes` of `buffer`, after everything recorded so far.
    pub(crate) fn read(&self, buffer: &GpuBuffer, bytes: u64) -> Result<Vec<u8>, DeviceError> {
        self.flush()?;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let descriptor = wgpu::BufferDescriptor {
            label: Some("readback"),
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let staging = self.faults.scoped(&self.device, || self.device.create_buffer(&descriptor))?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer.raw(), 0, &staging, 0, bytes);
        let submission = self.queue.submit([encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver is gone only if this function has already failed.
            let _ = sender.send(result);
        });
        self.wait_for(submission)?;
        let failed = |message: String| DeviceError::Lost { device: self.faults.device(), message };
        match receiver.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        }
        let view = staging.get_mapped_range(..).map_err(|error| failed(error.to_string()))?;
        Ok(view.to_vec())
    }
}
