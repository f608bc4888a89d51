//! Staging buffers: what the host writes or reads on the way to and from the device's own memory.
//!
//! Uploads go through a ring of a few mapped buffers. Their copies are recorded like dispatches, so an upload neither
//! overtakes commands that still use the memory nor waits for them: the inputs of the next batch are on their way while
//! the device works on this one. Large tensors stream through the ring piece by piece, so that no second copy of them is
//! ever held by the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::launch::{Command, Recording};
use super::{Gpu, GpuBuffer, lock};
use crate::error::DeviceError;

/// Bytes of a buffer of the ring.
const CHUNK: u64 = 8 << 20;
/// Most buffers of the ring: one is filled while two submissions are on the way and one is mapped again.
const CHUNKS: usize = 4;
/// Uploads start at multiples of this many bytes of a buffer: a multiple of what mapped ranges and copies need.
const ALIGNMENT: u64 = 16;

/// A buffer that the host can map; counted while it exists.
pub(super) struct Staging {
    pub(super) raw: wgpu::Buffer,
    total: Arc<AtomicU64>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.total.fetch_sub(self.raw.size(), Ordering::Relaxed);
    }
}

impl Gpu {
    /// A new staging buffer of `bytes`; those for writing are mapped.
    pub(super) fn staging(&self, bytes: u64, usage: wgpu::BufferUsages) -> Result<Staging, DeviceError> {
        let descriptor = wgpu::BufferDescriptor {
            label: Some("staging"),
            size: bytes,
            usage,
            mapped_at_creation: usage.contains(wgpu::BufferUsages::MAP_WRITE),
        };
        let raw = self.faults.scoped(&self.device, || self.device.create_buffer(&descriptor))?;
        self.staged.fetch_add(bytes, Ordering::Relaxed);
        Ok(Staging { raw, total: Arc::clone(&self.staged) })
    }
}

/// The ring of buffers for uploads.
pub(super) struct Ring {
    /// Mapped, from `offset` on unused.
    filling: Option<(Staging, u64)>,
    /// Sources of recorded copies.
    full: Vec<Staging>,
    /// Mapped and unused.
    ready: Vec<Staging>,
    /// Buffers that exist.
    count: usize,
    /// Buffers that were mapped again after their copies; none if that failed.
    sender: Sender<Option<Staging>>,
    receiver: Receiver<Option<Staging>>,
}

impl Ring {
    pub(super) fn new() -> Ring {
        let (sender, receiver) = channel();
        Ring { filling: None, full: Vec::new(), ready: Vec::new(), count: 0, sender, receiver }
    }

    /// Hands the buffers over to the device, as they must be when their copies are submitted.
    pub(super) fn close(&mut self) {
        if let Some((staging, _)) = self.filling.take() {
            staging.raw.unmap();
            self.full.push(staging);
        }
    }

    /// The copies were submitted: the buffers come back when these have ended.
    pub(super) fn recall(&mut self) {
        for staging in self.full.drain(..) {
            let sender = self.sender.clone();
            let raw = staging.raw.clone();
            raw.map_async(wgpu::MapMode::Write, .., move |mapped| {
                // The receiver is gone only with the device.
                let _ = sender.send(mapped.ok().map(|()| staging));
            });
        }
    }

    fn receive(&mut self) {
        while let Ok(staging) = self.receiver.try_recv() {
            match staging {
                Some(staging) => self.ready.push(staging),
                None => self.count -= 1,
            }
        }
    }
}

impl Gpu {
    /// A buffer with the given contents, which are copied before this returns.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<GpuBuffer, DeviceError> {
        let buffer = self.allocate(bytes.len() as u64)?;
        if self.rehearsing() {
            return Ok(buffer);
        }
        let to = buffer.raw()?;
        let mut offset = 0;
        while offset < bytes.len() {
            offset += self.stage(&mut lock(&self.recording), to, offset as u64, &bytes[offset..])?;
        }
        self.faults.check()?;
        Ok(buffer)
    }

    /// Copies the first of `bytes`, as many as one buffer of the ring has room for, and records their way to `to`. How many
    /// these are.
    fn stage(
        &self,
        recording: &mut Recording,
        to: &wgpu::Buffer,
        offset: u64,
        bytes: &[u8],
    ) -> Result<usize, DeviceError> {
        let (staging, used) = match recording.ring.filling.take() {
            Some(filling) => filling,
            None => (self.chunk(recording)?, 0),
        };
        let count = bytes.len().min((CHUNK - used) as usize);
        let padded = count.next_multiple_of(4) as u64;
        let mut view = match staging.raw.get_mapped_range_mut(used..used + padded) {
            Ok(view) => view,
            Err(error) => {
                recording.ring.count -= 1;
                return Err(self.no_staging(error.to_string()));
            }
        };
        view.slice(..count).copy_from_slice(&bytes[..count]);
        view.slice(count..).fill(0);
        drop(view);
        recording.push(Command::Upload {
            from: staging.raw.clone(),
            at: used,
            to: to.clone(),
            offset,
            bytes: padded,
        });
        let used = (used + padded).next_multiple_of(ALIGNMENT);
        recording.ring.filling = Some((staging, used));
        if used == CHUNK {
            // The device copies this while the host fills the next.
            self.submit(recording)?;
        }
        Ok(count)
    }

    /// An unused buffer of the ring; waits for the oldest copies if there is none.
    fn chunk(&self, recording: &mut Recording) -> Result<Staging, DeviceError> {
        loop {
            recording.ring.receive();
            if let Some(staging) = recording.ring.ready.pop() {
                return Ok(staging);
            }
            if recording.ring.count < CHUNKS {
                let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
                let staging = self.staging(CHUNK, usage)?;
                recording.ring.count += 1;
                return Ok(staging);
            }
            self.submit(recording)?;
            let left = recording.in_flight();
            if left > 0 {
                self.land(recording, left - 1)?;
                continue;
            }
            self.wait_for(None)?;
            recording.ring.receive();
            if recording.ring.ready.is_empty() && recording.ring.count == CHUNKS {
                return Err(self.no_staging("no staging buffer came back".to_owned()));
            }
        }
    }

    fn no_staging(&self, message: String) -> DeviceError {
        DeviceError::Rejected { device: self.faults.device(), message }
    }
}
