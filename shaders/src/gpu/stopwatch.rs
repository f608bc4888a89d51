//! Timing of single launches, to choose between kernels: by time stamps of the device where it has them, else by the
//! host's clock.

use std::time::Instant;

use super::{Gpu, Launch, lock};
use crate::error::DeviceError;

/// Bytes of the two time stamps of a pass.
const STAMP_BYTES: u64 = 16;

/// Sums the seconds of submissions.
pub(super) struct Stopwatch {
    stamps: Option<Stamps>,
    seconds: f64,
}

struct Stamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
}

impl Stopwatch {
    fn new(gpu: &Gpu) -> Stopwatch {
        let buffer = |usage| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("time stamps"),
                size: STAMP_BYTES,
                usage,
                mapped_at_creation: false,
            })
        };
        let stamps = gpu.features.timestamps.then(|| Stamps {
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            staging: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        });
        Stopwatch { stamps, seconds: 0.0 }
    }

    /// What a compute pass has to write.
    pub(super) fn stamps(&self) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        self.stamps.as_ref().map(|stamps| wgpu::ComputePassTimestampWrites {
            query_set: &stamps.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        })
    }

    /// Records the copies of the time stamps to the host.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        if let Some(Stamps { queries, resolved, staging }) = &self.stamps {
            encoder.resolve_query_set(queries, 0..2, resolved, 0);
            encoder.copy_buffer_to_buffer(resolved, 0, staging, 0, STAMP_BYTES);
        }
    }

    /// Adds a submission that was sent at `sent` and has ended.
    pub(super) fn add(&mut self, gpu: &Gpu, sent: Instant) -> Result<(), DeviceError> {
        let wall = sent.elapsed().as_secs_f64();
        let Some(stamps) = &self.stamps else {
            self.seconds += wall;
            return Ok(());
        };
        let staging = &stamps.staging;
        let mut stamps: Vec<u64> = Vec::new();
        gpu.map(
            staging,
            STAMP_BYTES,
            || gpu.wait_for(None),
            |bytes| {
                stamps = bytemuck::pod_collect_to_vec(bytes);
            },
        )?;
        staging.unmap();
        let ticks = stamps[1].wrapping_sub(stamps[0]) as f64;
        let seconds = ticks * f64::from(gpu.queue.get_timestamp_period()) / 1e9;
        // Drivers that do not count give zeros, or stamps out of order.
        self.seconds += if seconds > 0.0 && seconds <= 2.0 * wall { seconds } else { wall };
        Ok(())
    }
}

impl Gpu {
    /// Seconds that `launch` takes on the device, alone if no other thread launches; [`Gpu::choose_kernel`] sees to it that
    /// one thread measures at a time. The first run of a kernel may contain its compilation. Zero in a
    /// rehearsal, which runs nothing.
    ///
    /// # Errors
    /// The device's errors.
    pub(crate) fn time(&self, launch: &Launch<'_>) -> Result<f64, DeviceError> {
        self.wait()?;
        if self.rehearsing() {
            return Ok(0.0);
        }
        lock(&self.recording).stopwatch = Some(Stopwatch::new(self));
        let launched = self.launch(launch).and_then(|()| self.flush());
        let stopwatch = lock(&self.recording).stopwatch.take();
        launched.map(|()| stopwatch.map_or(f64::INFINITY, |stopwatch| stopwatch.seconds))
    }
}
