//! Accounting of the memory of a device, the same on both backends: size classes, what is in use, the highest use, and
//! the user's limit.
//!
//! A batch can be rehearsed ([`crate::Device::rehearse`]): the same code runs on the same device, but on this thread new
//! tensors are only counted, in an account of its own, and no work is done. Both backends round sizes to the same
//! classes and count a tensor from its making to its last drop, so the peak of a rehearsal is the peak of the run. From
//! the lives of the tensors of a rehearsal follows a plan ([`Plan`]): a few buffers that they share.

mod books;
mod plan;
mod run;
mod trace;

pub(crate) use books::{Account, Booking};
pub use plan::Plan;
pub(crate) use run::{Next, Run};

/// Smallest class in bytes. All classes are multiples of 16, so a kernel may bind any buffer as `array<vec4<f32>>`.
const SMALLEST: u64 = 256;

/// Bytes of unused buffers above which the pools give memory back.
pub(crate) const POOL_BYTES: u64 = 1 << 30;

/// Memory of a device, in bytes, rounded up to what is allocated.
///
/// The peak and the limit are about tensors: `live`, and `live + pooled`. The other three are not part of them. They do
/// not grow with the tensors of a batch: `panels` are at most as large as the weights, and none are made under a memory
/// limit, `staging` is bounded but for results that are read later, and `scratch` by what the threads work on at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Tensors that somebody holds, and the buffers of a plan while its batch runs.
    pub live: u64,
    /// Unused buffers that wait for reuse; given back before an allocation fails.
    pub pooled: u64,
    /// The most bytes that were live at once, since the device was opened or
    /// [`reset_peak`](crate::Device::reset_peak).
    pub peak: u64,
    /// The most bytes that may be live and pooled together.
    pub limit: Option<u64>,
    /// Scratch memory of the operations of the CPU backend, in use or kept for the next operation; 0 on a GPU.
    pub scratch: u64,
    /// Second layouts of weights that the CPU backend keeps because they are used again and again; 0 on a GPU.
    pub panels: u64,
    /// Staging buffers through which a GPU's uploads and readbacks go; 0 on the CPU.
    pub staging: u64,
}

/// Rounds bytes up to an eighth of a power of two: at most 12.5 % waste, few classes.
pub(crate) fn size_class(bytes: u64) -> u64 {
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
