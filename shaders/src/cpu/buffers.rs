//! Recycled host memory. A forward pass allocates and drops the same sizes again and again; fresh pages from the system
//! would cost more than the arithmetic of the small operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::panels::Kept;
use crate::error::DeviceError;
use crate::memory::{Account, Booking, MemoryReport, POOL_BYTES, size_class};

/// Free buffers by length, and the books of those in use.
pub(crate) struct Buffers {
    account: Arc<Account>,
    free: Mutex<Free>,
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
}

/// Values of one tensor; the memory goes back to its device when dropped.
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
    /// Values of a tensor.
    Booked { _booking: Booking },
    /// Counted on the books of a rehearsal; no memory.
    Rehearsed { _booking: Booking },
    /// There was no memory. Everything that uses the values fails.
    Failed,
}

impl Buffers {
    pub(crate) fn new(limit: Option<u64>) -> Arc<Buffers> {
        Arc::new(Buffers { account: Account::new(limit), free: Mutex::default() })
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(crate) fn report(&self) -> MemoryReport {
        self.account.report(self.free().bytes)
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scratch memory for `len` values with arbitrary contents (not a number in debug builds, to show reads before
    /// writes).
    pub(crate) fn scratch(home: &Arc<Buffers>, len: usize) -> CpuBuffer {
        let class = length_class(len);
        let recycled = home.free().take(class);
        let memory = recycled.unwrap_or_else(|| vec![0.0; class]);
        CpuBuffer::new(home, len, poisoned(memory), State::Scratch)
    }

    /// A buffer for the `len` values of a tensor, with arbitrary contents. If there is no memory, the buffer has none and
    /// [`CpuBuffer::check`] says so; in a rehearsal it is only counted.
    pub(crate) fn take(home: &Arc<Buffers>, len: usize) -> CpuBuffer {
        let class = length_class(len);
        if let Some(booking) = home.account.rehearsed(bytes_of(class)) {
            return CpuBuffer::new(home, len, Vec::new(), State::Rehearsed { _booking: booking });
        }
        let mut free = home.free();
        let recycled = free.take(class);
        let booking = home.account.book(bytes_of(class), free.bytes).or_else(|| {
            // What nobody uses goes first.
            *free = Free::default();
            home.account.book(bytes_of(class), 0)
        });
        let Some(booking) = booking else {
            return CpuBuffer::new(home, len, Vec::new(), State::Failed);
        };
        let fresh = || bytemuck::allocation::try_zeroed_vec(class);
        let memory = recycled.map_or_else(fresh, Ok).or_else(|()| {
            *free = Free::default();
            fresh()
        });
        drop(free);
        match memory {
            Ok(memory) => CpuBuffer::new(home, len, poisoned(memory), State::Booked { _booking: booking }),
            Err(()) => CpuBuffer::new(home, len, Vec::new(), State::Failed),
        }
    }

    fn give_back(&self, memory: Vec<f32>) {
        let bytes = bytes_of(memory.len());
        let mut free = self.free();
        if free.bytes + bytes <= POOL_BYTES {
            free.bytes += bytes;
            free.lengths.entry(memory.len()).or_default().push(memory);
        }
    }
}

impl CpuBuffer {
    fn new(home: &Arc<Buffers>, len: usize, memory: Vec<f32>, state: State) -> CpuBuffer {
        CpuBuffer { memory, len, home: Arc::clone(home), state, kept: Kept::default() }
    }

    /// Puts scratch memory on the books: it becomes the values of a tensor.
    pub(crate) fn adopt(mut self) -> CpuBuffer {
        if !matches!(self.state, State::Scratch) {
            return self;
        }
        let bytes = bytes_of(self.memory.len());
        let state = if let Some(booking) = self.home.account.rehearsed(bytes) {
            State::Rehearsed { _booking: booking }
        } else if let Some(booking) = self.home.account.book(bytes, 0) {
            self.state = State::Booked { _booking: booking };
            return self;
        } else {
            State::Failed
        };
        self.home.give_back(std::mem::take(&mut self.memory));
        self.state = state;
        self
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
        matches!(self.state, State::Scratch | State::Booked { .. })
    }

    /// Whether the values may be used now.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] if there was no memory for them; [`DeviceError::Rejected`] if they are left over from
    /// a rehearsal.
    pub(crate) fn check(&self) -> Result<(), DeviceError> {
        let device = || "native CPU".to_owned();
        match self.state {
            State::Scratch | State::Booked { .. } => Ok(()),
            State::Rehearsed { .. } if self.home.account.rehearsing() => Ok(()),
            State::Rehearsed { .. } => Err(DeviceError::Rejected {
                device: device(),
                message: "a tensor of a rehearsal has no values".to_owned(),
            }),
            State::Failed => {
                Err(DeviceError::OutOfMemory { device: device(), bytes: bytes_of(length_class(self.len)) })
            }
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
        if self.has_memory() {
            self.home.give_back(std::mem::take(&mut self.memory));
        }
    }
}

/// Reads before writes show in debug builds.
fn poisoned(mut memory: Vec<f32>) -> Vec<f32> {
    if cfg!(debug_assertions) {
        memory.fill(f32::NAN);
    }
    memory
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
