//! Device memory: buffers by size class, reused as soon as nobody holds them, or shared as a plan says.
//!
//! Commands, uploads among them, run in the order in which they were recorded, so a buffer that is dropped may be written
//! by a later command at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::faults::Faults;
use super::{Gpu, lock};
use crate::error::DeviceError;
use crate::memory::{Account, Booking, MemoryReport, Next, POOL_BYTES, Plan, Run, size_class};

/// Device memory of one tensor. Buffers of a rehearsal have no memory.
pub(crate) struct GpuBuffer {
    raw: Option<wgpu::Buffer>,
    class: u64,
    memory: Arc<Memory>,
    origin: Origin,
}

/// Where the memory goes when it is dropped.
enum Origin {
    /// To the pool, or nowhere in a rehearsal; off the books.
    Booked { _booking: Booking },
    /// To the plan of a run.
    Planned { run: Arc<Run<wgpu::Buffer>>, number: usize },
}

impl GpuBuffer {
    /// Bytes that kernels may reach, at least those that were asked for.
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
        let Some(raw) = self.raw.take() else { return };
        match &self.origin {
            Origin::Booked { .. } => self.memory.give_back(raw),
            Origin::Planned { run, number } => {
                if let Some(raw) = run.give_back(*number, raw) {
                    self.memory.give_back(raw);
                }
            }
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
    free: Mutex<Free>,
}

/// Unused buffers by size class.
#[derive(Default)]
struct Free {
    classes: BTreeMap<u64, Vec<wgpu::Buffer>>,
    bytes: u64,
}

impl Free {
    fn take(&mut self, class: u64) -> Option<wgpu::Buffer> {
        let raw = self.classes.get_mut(&class)?.pop()?;
        self.bytes -= class;
        Some(raw)
    }

    fn keep(&mut self, raw: wgpu::Buffer) {
        self.bytes += raw.size();
        self.classes.entry(raw.size()).or_default().push(raw);
    }
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

    /// A buffer of at least `bytes`; without memory in a rehearsal.
    ///
    /// # Errors
    /// [`DeviceError::TooLarge`], or [`DeviceError::OutOfMemory`], which [`Memory::trim`] may help.
    fn allocate(self: &Arc<Self>, bytes: u64) -> Result<GpuBuffer, DeviceError> {
        if bytes > self.largest_buffer {
            let device = self.faults.device();
            return Err(DeviceError::TooLarge { device, bytes, limit: self.largest_buffer });
        }
        let class = size_class(bytes).min(self.largest_buffer / 16 * 16);
        let buffer = |raw, origin| GpuBuffer { raw, class, memory: Arc::clone(self), origin };
        if let Some(booking) = self.account.rehearsed(class) {
            return Ok(buffer(None, Origin::Booked { _booking: booking }));
        }
        if let Some(run) = Run::<wgpu::Buffer>::current(&self.account) {
            match run.next(class) {
                Next::Planned(raw, number) => {
                    return Ok(buffer(Some(raw), Origin::Planned { run, number }));
                }
                Next::Pool(unplanned) => unplanned.into_iter().for_each(|raw| self.give_back(raw)),
            }
        }
        let (raw, booking) = self.obtain(class)?;
        Ok(buffer(Some(raw), Origin::Booked { _booking: booking }))
    }

    /// Memory of the pool or of the driver, on the books.
    fn obtain(&self, class: u64) -> Result<(wgpu::Buffer, Booking), DeviceError> {
        let full = || DeviceError::OutOfMemory { device: self.faults.device(), bytes: class };
        let (reused, pooled) = {
            let mut free = lock(&self.free);
            (free.take(class), free.bytes)
        };
        let Some(booking) = self.account.book(class, pooled) else {
            if let Some(raw) = reused {
                self.give_back(raw);
            }
            return Err(full());
        };
        if let Some(raw) = reused {
            return Ok((raw, booking));
        }
        let descriptor = wgpu::BufferDescriptor {
            label: None,
            size: class,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        match self.faults.scoped(&self.device, || self.device.create_buffer(&descriptor)) {
            Ok(raw) => Ok((raw, booking)),
            Err(DeviceError::OutOfMemory { .. }) => Err(full()),
            Err(other) => Err(other),
        }
    }

    fn give_back(&self, raw: wgpu::Buffer) {
        lock(&self.free).keep(raw);
    }

    /// Everything recorded so far was submitted. The pool shrinks only now: before, recorded commands would keep the memory
    /// of a buffer that is given back to the driver, and nobody would count it.
    pub(crate) fn submitted(&self) {
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
    fn trim(&self) {
        *lock(&self.free) = Free::default();
    }

    /// Gives the unused buffers back to the driver that `plan` has no use for. Whether there were any.
    fn trim_for(&self, plan: &Plan) -> bool {
        let mut free = lock(&self.free);
        let mut kept = Free::default();
        for class in plan.buffers() {
            if let Some(raw) = free.take(*class) {
                kept.keep(raw);
            }
        }
        let rest = free.bytes > 0;
        *free = kept;
        rest
    }
}

impl Gpu {
    /// A buffer of at least `bytes` with undefined contents.
    pub(crate) fn allocate(&self, bytes: u64) -> Result<GpuBuffer, DeviceError> {
        match self.memory.allocate(bytes) {
            Err(DeviceError::OutOfMemory { .. }) => {
                // Results that nobody holds any more are still cached; finish the work that uses them and drop them.
                self.wait()?;
                self.memory.trim();
                self.memory.allocate(bytes)
            }
            other => other,
        }
    }

    /// Does `work` with the buffers of `plan`. Without them if the plan is for another device, if this thread rehearses or
    /// follows a plan already, or if there is not enough memory.
    pub(crate) fn follow<T>(&self, plan: &Plan, work: impl FnOnce() -> T) -> T {
        let account = self.account();
        let busy = account.rehearsing() || Run::<wgpu::Buffer>::current(account).is_some();
        let buffers = if busy || !plan.serves(account) { None } else { self.planned(plan).ok() };
        match buffers {
            Some(buffers) => Run::follow(account, plan, buffers, |raw| self.memory.give_back(raw), work),
            None => work(),
        }
    }

    /// The buffers of `plan`. Faults other than a full memory are kept for the work that follows.
    fn planned(&self, plan: &Plan) -> Result<Vec<(wgpu::Buffer, Booking)>, DeviceError> {
        let buffers = || -> Result<Vec<_>, DeviceError> {
            // Recorded commands keep the memory that they use until they have run.
            self.flush()?;
            if self.memory.trim_for(plan) && self.account().limit().is_some() {
                self.wait()?;
            }
            plan.buffers().iter().map(|class| self.memory.obtain(*class)).collect()
        };
        buffers().inspect_err(|error| {
            if !matches!(error, DeviceError::OutOfMemory { .. }) {
                self.faults.record(error.clone());
            }
        })
    }
}
