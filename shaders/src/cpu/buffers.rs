//! Recycled host memory. A forward pass allocates and drops the same sizes again and again; fresh pages from the system
//! would cost more than the arithmetic of the small operations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::panels::Kept;
use crate::error::DeviceError;
use crate::memory::{Account, Booking, MemoryReport, Next, POOL_BYTES, Plan, Run, size_class};

/// Bytes of unused scratch memory above which it goes back to the system.
const SCRATCH_BYTES: u64 = POOL_BYTES / 4;

/// Free buffers by length, and the books of those in use.
pub(crate) struct Buffers {
    account: Arc<Account>,
    /// Of tensors.
    free: Mutex<Free>,
    /// Of operations.
    free_scratch: Mutex<Free>,
    /// Bytes of scratch memory, in use or not.
    scratch: AtomicU64,
    /// Bytes of kept panels.
    panels: AtomicU64,
}

#[derive(Default)]
struct Free {
    lengths: BTreeMap<usize, Vec<Vec<f32>>>,
    bytes: u64,
}

impl Free {
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let memory = self.lengths.get_mut(&len).and_then(Vec::pop)?;
        self.bytes -= bytes_of(len);
        Some(memory)
    }

    /// Keeps `memory`, if that are no more than `most` bytes together. Whether it was kept.
    fn keep(&mut self, memory: Vec<f32>, most: u64) -> bool {
        let bytes = bytes_of(memory.len());
        let fits = self.bytes + bytes <= most;
        if fits {
            self.bytes += bytes;
            self.lengths.entry(memory.len()).or_default().push(memory);
        }
        fits
    }
}

/// Values of one tensor, or scratch memory; goes back to its device when dropped.
pub(crate) struct CpuBuffer {
    memory: Vec<f32>,
    len: usize,
    home: Arc<Buffers>,
    state: State,
    kept: Kept,
}

enum State {
    /// Scratch memory of an operation, which is not on the books.
    Scratch,
    /// Panels that are kept beside a weight.
    Panels,
    /// Values of a tensor.
    Booked { _booking: Booking },
    /// Values of a tensor, in a buffer of the plan of a run.
    Planned { run: Arc<Run<Vec<f32>>>, number: usize },
    /// Counted on the books of a rehearsal; no memory.
    Rehearsed { _booking: Booking },
    /// There was no memory. Everything that uses the values fails.
    Failed,
}

impl Buffers {
    pub(crate) fn new(limit: Option<u64>) -> Arc<Buffers> {
        Arc::new(Buffers {
            account: Account::new(limit),
            free: Mutex::default(),
            free_scratch: Mutex::default(),
            scratch: AtomicU64::new(0),
            panels: AtomicU64::new(0),
        })
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(crate) fn report(&self) -> MemoryReport {
        MemoryReport {
            scratch: self.scratch.load(Ordering::Relaxed),
            panels: self.panels.load(Ordering::Relaxed),
            ..self.account.report(self.free().bytes)
        }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_scratch(&self) -> MutexGuard<'_, Free> {
        self.free_scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scratch memory for `len` values with arbitrary contents (not a number in debug builds, to show reads before
    /// writes).
    pub(crate) fn scratch(home: &Arc<Buffers>, len: usize) -> CpuBuffer {
        let class = length_class(len);
        let recycled = home.free_scratch().take(class);
        let memory = recycled.unwrap_or_else(|| {
            home.scratch.fetch_add(bytes_of(class), Ordering::Relaxed);
            vec![0.0; class]
        });
        CpuBuffer::new(home, len, memory, State::Scratch)
    }

    /// A buffer for the `len` values of a tensor, with arbitrary contents. If there is no memory, the buffer has none and
    /// [`CpuBuffer::check`] says so; in a rehearsal it is only counted.
    pub(crate) fn take(home: &Arc<Buffers>, len: usize) -> CpuBuffer {
        let class = length_class(len);
        if let Some(booking) = home.account.rehearsed(bytes_of(class)) {
            return CpuBuffer::new(home, len, Vec::new(), State::Rehearsed { _booking: booking });
        }
        if let Some(run) = Run::<Vec<f32>>::current(&home.account) {
            match run.next(bytes_of(class)) {
                Next::Planned(memory, number) => {
                    return CpuBuffer::new(home, len, memory, State::Planned { run, number });
                }
                Next::Pool(unplanned) => unplanned.into_iter().for_each(|memory| home.give_back(memory)),
            }
        }
        let mut free = home.free();
        match home.allocate(&mut free, class) {
            Some((memory, booking)) => CpuBuffer::new(home, len, memory, State::Booked { _booking: booking }),
            None => CpuBuffer::new(home, len, Vec::new(), State::Failed),
        }
    }

    /// Memory of the pool or of the system, on the books; none if there is none, or no more than the limit allows.
    fn allocate(&self, free: &mut Free, class: usize) -> Option<(Vec<f32>, Booking)> {
        let recycled = free.take(class);
        let booking = self.account.book(bytes_of(class), free.bytes).or_else(|| {
            // What nobody uses goes first.
            *free = Free::default();
            self.account.book(bytes_of(class), 0)
        })?;
        let fresh = || bytemuck::allocation::try_zeroed_vec(class);
        let memory = recycled.map_or_else(fresh, Ok).or_else(|()| {
            *free = Free::default();
            fresh()
        });
        Some((memory.ok()?, booking))
    }

    /// Does `work` with the buffers of `plan`. Without them if the plan is for another device, if this thread rehearses or
    /// follows a plan already, or if there is not enough memory.
    pub(crate) fn follow<T>(home: &Arc<Buffers>, plan: &Plan, work: impl FnOnce() -> T) -> T {
        let account = &home.account;
        let busy = account.rehearsing() || Run::<Vec<f32>>::current(account).is_some();
        let buffers = if busy || !plan.serves(account) { None } else { home.planned(plan) };
        match buffers {
            Some(buffers) => Run::follow(account, plan, buffers, |memory| home.give_back(memory), work),
            None => work(),
        }
    }

    fn planned(&self, plan: &Plan) -> Option<Vec<(Vec<f32>, Booking)>> {
        let mut free = self.free();
        let lengths = || plan.buffers().iter().map(|bytes| *bytes as usize / size_of::<f32>());
        // What the plan does not use waits for nobody.
        let mut kept = Free::default();
        for memory in lengths().filter_map(|length| free.take(length)) {
            kept.keep(memory, u64::MAX);
        }
        *free = kept;
        lengths().map(|length| self.allocate(&mut free, length)).collect()
    }

    fn give_back(&self, memory: Vec<f32>) {
        self.free().keep(memory, POOL_BYTES);
    }

    fn give_back_scratch(&self, memory: Vec<f32>) {
        let bytes = bytes_of(memory.len());
        if !self.free_scratch().keep(memory, SCRATCH_BYTES) {
            self.scratch.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl CpuBuffer {
    fn new(home: &Arc<Buffers>, len: usize, memory: Vec<f32>, state: State) -> CpuBuffer {
        let mut buffer = CpuBuffer { memory, len, home: Arc::clone(home), state, kept: Kept::default() };
        if cfg!(debug_assertions) {
            // Reads before writes show.
            buffer.values_mut().fill(f32::NAN);
        }
        buffer
    }

    /// Scratch memory becomes panels that are kept.
    pub(crate) fn into_panels(mut self) -> CpuBuffer {
        if matches!(self.state, State::Scratch) {
            let bytes = bytes_of(self.memory.len());
            self.home.scratch.fetch_sub(bytes, Ordering::Relaxed);
            self.home.panels.fetch_add(bytes, Ordering::Relaxed);
            self.state = State::Panels;
        }
        self
    }

    /// Whether this is scratch memory, which is no tensor's.
    pub(crate) fn is_scratch(&self) -> bool {
        matches!(self.state, State::Scratch)
    }

    /// The values; empty without memory.
    pub(crate) fn values(&self) -> &[f32] {
        self.memory.get(..self.len).unwrap_or_default()
    }

    /// The values for writing; empty without memory.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        self.kept.forget();
        self.memory.get_mut(..self.len).unwrap_or_default()
    }

    /// Another layout of the values, for products that use them again.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Whether there is memory to work on: not in a rehearsal and not after a failed allocation.
    pub(crate) fn has_memory(&self) -> bool {
        !matches!(self.state, State::Rehearsed { .. } | State::Failed)
    }

    /// Whether the values may be used now.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] if there was no memory for them; [`DeviceError::Rejected`] if they are left over from
    /// a rehearsal.
    pub(crate) fn check(&self) -> Result<(), DeviceError> {
        let device = || "native CPU".to_owned();
        match self.state {
            State::Rehearsed { .. } if self.home.account.rehearsing() => Ok(()),
            State::Rehearsed { .. } => Err(DeviceError::Rejected {
                device: device(),
                message: "a tensor of a rehearsal has no values".to_owned(),
            }),
            State::Failed => {
                Err(DeviceError::OutOfMemory { device: device(), bytes: bytes_of(length_class(self.len)) })
            }
            _ => Ok(()),
        }
    }
}

impl Clone for CpuBuffer {
    fn clone(&self) -> Self {
        let mut copy = Buffers::take(&self.home, self.len);
        if copy.has_memory() {
            copy.values_mut().copy_from_slice(self.values());
        }
        copy
    }
}

impl Drop for CpuBuffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        match &self.state {
            State::Booked { .. } => self.home.give_back(memory),
            State::Planned { run, number } => {
                if let Some(memory) = run.give_back(*number, memory) {
                    self.home.give_back(memory);
                }
            }
            State::Scratch => self.home.give_back_scratch(memory),
            State::Panels => {
                let bytes = bytes_of(memory.len());
                self.home.panels.fetch_sub(bytes, Ordering::Relaxed);
                self.home.scratch.fetch_add(bytes, Ordering::Relaxed);
                self.home.give_back_scratch(memory);
            }
            State::Rehearsed { .. } | State::Failed => {}
        }
    }
}

fn bytes_of(len: usize) -> u64 {
    len as u64 * size_of::<f32>() as u64
}

/// Values of the size class that holds `len` values.
fn length_class(len: usize) -> usize {
    size_class(bytes_of(len)) as usize / size_of::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_recycled_and_clones_are_independent() {
        let home = Buffers::new(None);
        let mut first = Buffers::take(&home, 1000);
        first.values_mut().fill(1.0);
        let second = first.clone();
        let address = first.values().as_ptr();
        drop(first);
        let third = Buffers::take(&home, 990);
        assert_eq!(third.values().as_ptr(), address);
        assert_eq!(second.values(), vec![1.0; 1000]);
    }

    #[test]
    fn a_full_memory_takes_from_the_pool_first_and_then_fails() {
        let home = Buffers::new(Some(8192));
        drop(Buffers::take(&home, 512));
        assert_eq!((home.report().live, home.report().pooled), (0, 2048));
        let large = Buffers::take(&home, 2048);
        assert!(large.check().is_ok());
        assert_eq!((home.report().live, home.report().pooled), (8192, 0));
        let none = Buffers::take(&home, 1);
        assert_eq!(
            none.check(),
            Err(DeviceError::OutOfMemory { device: "native CPU".to_owned(), bytes: 256 })
        );
        drop(large);
        assert!(Buffers::take(&home, 1).check().is_ok());
        assert_eq!(home.report().peak, 8192);
    }
}
