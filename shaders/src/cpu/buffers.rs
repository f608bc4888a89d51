//! Recycled host memory. A forward pass allocates and drops the same sizes again and again; fresh pages from the system
//! would cost more than the arithmetic of the small operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of unused buffers above which a dropped buffer goes back to the system.
const CACHE_BYTES: usize = 1 << 30;

/// Free buffers by length.
pub(crate) struct Buffers {
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    lengths: BTreeMap<usize, Vec<Vec<f32>>>,
    bytes: usize,
}

/// Values of one tensor; the memory goes back to its device when dropped.
pub(crate) struct CpuBuffer {
    memory: Vec<f32>,
    len: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    pub(crate) fn new() -> Arc<Buffers> {
        Arc::new(Buffers { free: Mutex::new(Free::default()) })
    }

    /// A buffer for `len` values with arbitrary contents (not a number in debug builds, to show reads before writes).
    pub(crate) fn take(home: &Arc<Buffers>, len: usize) -> CpuBuffer {
        let class = size_class(len);
        let recycled = {
            let mut free = home.free.lock().unwrap_or_else(PoisonError::into_inner);
            let memory = free.lengths.get_mut(&class).and_then(Vec::pop);
            free.bytes -= memory.as_ref().map_or(0, |_| class * size_of::<f32>());
            memory
        };
        let mut memory = recycled.unwrap_or_else(|| vec![0.0; class]);
        if cfg!(debug_assertions) {
            memory.fill(f32::NAN);
        }
        CpuBuffer { memory, len, home: Arc::clone(home) }
    }

    fn give_back(&self, memory: Vec<f32>) {
        let bytes = memory.len() * size_of::<f32>();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.bytes + bytes <= CACHE_BYTES {
            free.bytes += bytes;
            free.lengths.entry(memory.len()).or_default().push(memory);
        }
    }
}

impl CpuBuffer {
    pub(crate) fn values(&self) -> &[f32] {
        &self.memory[..self.len]
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.len]
    }
}

impl Clone for CpuBuffer {
    fn clone(&self) -> Self {
        let mut copy = Buffers::take(&self.home, self.len);
        copy.values_mut().copy_from_slice(self.values());
        copy
    }
}

impl Drop for CpuBuffer {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.memory));
    }
}

/// Rounds up to an eighth of a power of two, so that batches of similar size share buffers.
fn size_class(len: usize) -> usize {
    let len = len.max(64);
    let step = (1 << len.ilog2()) / 8;
    len.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_recycled_and_clones_are_independent() {
        let home = Buffers::new();
        let mut first = Buffers::take(&home, 1000);
        first.values_mut().fill(1.0);
        let second = first.clone();
        let address = first.values().as_ptr();
        drop(first);
        let third = Buffers::take(&home, 990);
        assert_eq!(third.values().as_ptr(), address);
        assert_eq!(second.values(), vec![1.0; 1000]);
    }
}
