//! What tests and measurements of this crate need to know of a device or do to it, and nobody else.

use std::collections::BTreeMap;

use crate::device::{Backend, Device};

/// Names of the matrix product kernels of f32, for [`use_product_kernel`].
pub fn product_kernels() -> Vec<&'static str> {
    crate::ops::product_kernels()
}

/// Names of the attention kernels, for [`use_attention_kernel`]: of the forward pass, and of the backward pass
/// (`backward-`).
pub fn attention_kernels() -> Vec<&'static str> {
    crate::ops::attention_kernels()
}

/// Chooses between the two sets of matrix product and attention kernels: those with tiles in workgroup memory (the default
/// on hardware) and those without (the default on software drivers). Both give the same bits. Does nothing on the CPU.
pub fn use_tiled_kernels(device: &Device, tiled: bool) {
    if let Backend::Gpu(gpu) = device.backend() {
        gpu.set_tiled(tiled);
    }
}

/// Uses the matrix product kernel of this name for every product, whatever its shape, or with none goes back to choosing.
/// All kernels of [`product_kernels`] give the same bits. The name of one that this adapter cannot run changes nothing,
/// and the CPU has no choice.
pub fn use_product_kernel(device: &Device, name: Option<&str>) {
    if let Backend::Gpu(gpu) = device.backend() {
        gpu.force_kernel("product", name);
    }
}

/// As [`use_product_kernel`], for the attention kernels of [`attention_kernels`]. A name is for the forward or for the
/// backward pass; the other pass takes its first choice, and so do heads of a width that the kernel does not serve.
pub fn use_attention_kernel(device: &Device, name: Option<&str>) {
    if let Backend::Gpu(gpu) = device.backend() {
        gpu.force_kernel("attention", name);
    }
}

/// The kernels that were measured to be the fastest so far, by what they were measured for. Empty on the CPU.
pub fn measured_kernels(device: &Device) -> BTreeMap<String, String> {
    match device.backend() {
        Backend::Cpu(_) => BTreeMap::new(),
        Backend::Gpu(gpu) => gpu.measured_kernels(),
    }
}

/// Names of the kernel files that the device has compiled so far, for tests of coverage. None on the CPU.
pub fn compiled_kernels(device: &Device) -> Vec<&'static str> {
    match device.backend() {
        Backend::Cpu(_) => Vec::new(),
        Backend::Gpu(gpu) => gpu.compiled(),
    }
}

/// Loses the device, as a driver reset would. Does nothing on the CPU.
pub fn destroy(device: &Device) {
    if let Backend::Gpu(gpu) = device.backend() {
        gpu.destroy();
    }
}
