//! Device memory: buffers by size class, reused as soon as nobody holds them.
//!
//! Commands run in the order in which they were recorded, so a buffer that is dropped may be written by a later command
//! at once. Only the host must wait: `write_buffer` overtakes recorded commands, so an upload takes a buffer that no
//! unsubmitted command uses. `epoch` counts submissions and tells the two apart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::faults::Faults;
use super::lock;
use crate::error::DeviceError;

/// Smallest buffer. All classes are multiples of 16, so a kernel may bind any buffer as `array<vec4<f32>>`.
const SMALLEST: u64 = 256;

/// Bytes of unused buffers above which the largest are given back to the driver.
const CACHE_BYTES: u64 = 1 << 30;

/// Device memory of one tensor; goes back to the pool when dropped.
pub(crate) struct GpuBuffer {
    raw: Option<wgpu::Buffer>,
    class: u64,
    memory: Arc<Memory>,
}

impl GpuBuffer {
    /// Bytes that were allocated, at least those that were asked for.
    pub(crate) fn bytes(&self) -> u64 {
        self.class
    }

    pub(crate) fn raw(&self) -> &wgpu::Buffer {
        match &self.raw {
            Some(raw) => raw,
            None => unreachable!("the buffer is taken only in drop"),
        }
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            self.memory.give_back(self.class, raw);
        }
    }
}

/// The pool.
pub(crate) struct Memory {
    device: wgpu::Device,
    faults: Arc<Faults>,
    largest_binding: u64,
    largest_buffer: u64,
    epoch: AtomicU64,
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    /// Size class → buffers with the epoch in which they were dropped.
    classes: BTreeMap<u64, Vec<(wgpu::Buffer, u64)>>,
    bytes: u64,
}

impl Memory {
    pub(crate) fn new(device: wgpu::Device, faults: Arc<Faults>) -> Arc<Memory> {
        let limits = device.limits();
        Arc::new(Memory {
            largest_binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            largest_buffer: limits.max_buffer_size,
            device,
            faults,
            epoch: AtomicU64::new(0),
            free: Mutex::new(Free::default()),
        })
    }

    /// The most bytes that a kernel can bind.
    pub(crate) fn largest_binding(&self) -> u64 {
        self.largest_binding
    }

    /// A buffer of at least `bytes`; with `host_writes`, one that no recorded command uses.
    pub(crate) fn allocate(
        self: &Arc<Self>,
        bytes: u64,
        host_writes: bool,
    ) -> Result<GpuBuffer, DeviceError> {
        if bytes > self.largest_buffer {
            let device = self.faults.device();
            return Err(DeviceError::TooLarge { device, bytes, limit: self.largest_buffer });
        }
        let class = size_class(bytes).min(self.largest_buffer / 16 * 16);
        if let Some(raw) = self.reuse(class, host_writes) {
            return Ok(GpuBuffer { raw: Some(raw), class, memory: Arc::clone(self) });
        }
        let descriptor = wgpu::BufferDescriptor {
            label: None,
            size: class,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        match self.faults.scoped(&self.device, || self.device.create_buffer(&descriptor)) {
            Ok(raw) => Ok(GpuBuffer { raw: Some(raw), class, memory: Arc::clone(self) }),
            Err(DeviceError::OutOfMemory { device, .. }) => {
                Err(DeviceError::OutOfMemory { device, bytes: class })
            }
            Err(other) => Err(other),
        }
    }

    fn reuse(&self, class: u64, host_writes: bool) -> Option<wgpu::Buffer> {
        let now = self.epoch.load(Ordering::Relaxed);
        let mut free = lock(&self.free);
        let list = free.classes.get_mut(&class)?;
        let at = list.iter().rposition(|(_, epoch)| !host_writes || *epoch < now)?;
        let (raw, _) = list.swap_remove(at);
        free.bytes -= class;
        Some(raw)
    }

    fn give_back(&self, class: u64, raw: wgpu::Buffer) {
        let now = self.epoch.load(Ordering::Relaxed);
        let mut free = lock(&self.free);
        if free.bytes + class > CACHE_BYTES {
            return;
        }
        free.bytes += class;
        free.classes.entry(class).or_default().push((raw, now));
    }

    /// Everything recorded so far was submitted.
    pub(crate) fn submitted(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives all unused buffers back to the driver.
    pub(crate) fn trim(&self) {
        *lock(&self.free) = Free::default();
    }
}

/// Rounds up to an eighth of a power of two: at most 12.5 % waste, few classes.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(SMALLEST);
    let step = (1 << bytes.ilog2()) / 8;
    bytes.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_fit_waste_little_and_can_be_bound_as_vectors() {
        for bytes in (0..5000).chain([1 << 20, (1 << 20) + 1, 128 << 20, u64::from(u32::MAX)]) {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(16), "{bytes} -> {class}");
            assert!(bytes < SMALLEST || class as f64 <= bytes as f64 * 1.126, "{bytes} -> {class}");
            assert_eq!(size_class(class), class);
        }
    }
}
