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
use crate::memory::{Account, Booking, MemoryReport, POOL_BYTES, size_class};

/// Device memory of one tensor; goes back to the pool when dropped. Buffers of a rehearsal have no memory.
pub(crate) struct GpuBuffer {
    raw: Option<wgpu::Buffer>,
    class: u64,
    memory: Arc<Memory>,
    _booking: Booking,
}

impl GpuBuffer {
    /// Bytes that were allocated, at least those that were asked for.
    pub(crate) fn bytes(&self) -> u64 {
        self.class
    }

    /// The memory.
    ///
    /// # Errors
    /// [`DeviceError::Rejected`] for a buffer of a rehearsal.
    pub(crate) fn raw(&self) -> Result<&wgpu::Buffer, DeviceError> {
        self.raw.as_ref().ok_or_else(|| DeviceError::Rejected {
            device: self.memory.faults.device(),
            message: "a tensor of a rehearsal has no values".to_owned(),
        })
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
    account: Arc<Account>,
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
    pub(crate) fn new(device: wgpu::Device, faults: Arc<Faults>, limit: Option<u64>) -> Arc<Memory> {
        let limits = device.limits();
        Arc::new(Memory {
            account: Account::new(limit),
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

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(crate) fn report(&self) -> MemoryReport {
        self.account.report(lock(&self.free).bytes)
    }

    /// A buffer of at least `bytes`; with `host_writes`, one that no recorded command uses. Without memory in a rehearsal.
    ///
    /// # Errors
    /// [`DeviceError::TooLarge`], or [`DeviceError::OutOfMemory`], which [`Memory::trim`] may help.
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
        let buffer = |raw, booking| GpuBuffer { raw, class, memory: Arc::clone(self), _booking: booking };
        if let Some(booking) = self.account.rehearsed(class) {
            return Ok(buffer(None, booking));
        }
        let full = || DeviceError::OutOfMemory { device: self.faults.device(), bytes: class };
        let reused = self.reuse(class, host_writes);
        let pooled = lock(&self.free).bytes;
        let Some(booking) = self.account.book(class, pooled) else {
            if let Some(raw) = reused {
                self.give_back(class, raw);
            }
            return Err(full());
        };
        if let Some(raw) = reused {
            return Ok(buffer(Some(raw), booking));
        }
        let descriptor = wgpu::BufferDescriptor {
            label: None,
            size: class,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        match self.faults.scoped(&self.device, || self.device.create_buffer(&descriptor)) {
            Ok(raw) => Ok(buffer(Some(raw), booking)),
            Err(DeviceError::OutOfMemory { .. }) => Err(full()),
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
        free.bytes += class;
        free.classes.entry(class).or_default().push((raw, now));
    }

    /// Everything recorded so far was submitted. The pool shrinks only now: before, recorded commands would keep the memory
    /// of a buffer that is given back to the driver, and nobody would count it.
    pub(crate) fn submitted(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        let mut free = lock(&self.free);
        while free.bytes > POOL_BYTES {
            let Some(mut largest) = free.classes.last_entry() else { break };
            let (class, dropped) = (*largest.key(), largest.get_mut().pop());
            if dropped.is_none() {
                largest.remove();
            } else {
                free.bytes -= class;
            }
        }
    }

    /// Gives all unused buffers back to the driver.
    pub(crate) fn trim(&self) {
        *lock(&self.free) = Free::default();
    }
}
