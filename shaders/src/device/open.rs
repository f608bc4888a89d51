//! Opening devices: by a user's choice, and again after one was lost.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Backend, Device, Inner};
use crate::cpu::Cpu;
use crate::error::DeviceError;
use crate::gpu::{self, Gpu};
use crate::precision::Precision;

/// How to open a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which device, as for [`Device::open`].
    pub choice: String,
    /// Workers of the CPU backend; 0 for one per core.
    pub threads: usize,
    /// Arithmetic of matrix products.
    pub precision: Precision,
    /// The most bytes of tensors, pooled ones included; above it, allocations fail as if the memory were full.
    pub memory_limit: Option<u64>,
    /// The most bytes of tensors where they lie in main memory, that is on the CPU backend; with [`DeviceOptions::memory_limit`],
    /// the smaller of both.
    pub main_memory: Option<u64>,
    /// The most bytes that a kernel may bind on a GPU, if less than what the adapter allows: makes operations work in parts,
    /// for tests.
    pub binding_limit: Option<u64>,
    /// Kernels get their parameters in a uniform buffer even if the adapter has immediate data for them; for tests.
    pub uniform_parameters: bool,
    /// Kernels test every index and bound every loop. They need not: this is for finding mistakes in kernels.
    pub checks: bool,
    /// Folder for compiled pipelines and measured kernel choices. By default that of the variable
    /// `CELLDAG_PIPELINE_CACHE`, or `celldag` in the user's folder for caches; software drivers use only a folder that is
    /// given here.
    pub driver_folder: Option<PathBuf>,
}

impl DeviceOptions {
    /// The device that `choice` names, with the defaults for everything else.
    pub fn new(choice: &str, threads: usize) -> DeviceOptions {
        DeviceOptions { choice: choice.to_owned(), threads, ..DeviceOptions::default() }
    }
}

impl Device {
    /// Opens the device that `choice` names, with `threads` workers if it is the CPU (0: one per core).
    ///
    /// `auto` takes a hardware GPU if there is one and the native CPU backend otherwise, never a software driver;
    /// `cpu` the native backend; `gpu` a hardware GPU; `software` a software driver (for tests); `pci:0000:65:00.0` the
    /// adapter at an address; anything else is the index of an adapter of [`list_adapters`](crate::list_adapters) or a part
    /// of its name. What a scheduler has hidden ([`visible`](crate::visible)) is taken only by address or index.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`] with what exists, or why the driver refused.
    pub fn open(choice: &str, threads: usize) -> Result<Device, DeviceError> {
        Device::open_with(&DeviceOptions::new(choice, threads))
    }

    /// Opens a device.
    ///
    /// # Errors
    /// Those of [`Device::open`]; [`DeviceError::Precision`] if the device cannot compute in the precision of the
    /// options. No other precision and no other device is taken instead.
    pub fn open_with(options: &DeviceOptions) -> Result<Device, DeviceError> {
        match options.choice.trim().to_ascii_lowercase().as_str() {
            "cpu" => Device::with_cpu(options),
            "auto" | "" => match gpu::hardware_adapters()?.into_iter().next() {
                Some((_, adapter)) => match Gpu::open(&adapter, options) {
                    Ok(gpu) => Device::with_gpu(gpu, options),
                    Err(error @ DeviceError::Precision { .. }) => Err(error),
                    Err(error) => {
                        tracing::warn!(%error, "the GPU cannot be opened; using the native CPU backend");
                        Device::with_cpu(options)
                    }
                },
                None => Device::with_cpu(options),
            },
            name => {
                let found = gpu::find_adapters(name)?;
                match found.first() {
                    Some((_, adapter)) => Device::with_gpu(Gpu::open(adapter, options)?, options),
                    None => Device::with_cpu(options),
                }
            }
        }
    }

    /// The native CPU backend with `threads` workers (0: one per core).
    ///
    /// # Errors
    /// [`DeviceError::Threads`] when the system cannot start them.
    pub fn cpu(threads: usize) -> Result<Device, DeviceError> {
        Device::with_cpu(&DeviceOptions::new("cpu", threads))
    }

    /// The same device with empty memory, for repeating work after [`DeviceError::Lost`].
    ///
    /// # Errors
    /// Those of [`Device::open_with`]; [`DeviceError::Lost`] if the adapter is gone and the choice now means another,
    /// whose results could have other bits.
    pub fn reopen(&self) -> Result<Device, DeviceError> {
        let again = Device::open_with(&self.inner.options)?;
        if again.info() == self.info() {
            return Ok(again);
        }
        let message = format!("only {} is left", again.info().name);
        Err(DeviceError::Lost { device: self.info().name.clone(), message })
    }

    fn with_cpu(options: &DeviceOptions) -> Result<Device, DeviceError> {
        let limit = options.memory_limit.into_iter().chain(options.main_memory).min();
        let cpu = Cpu::new(options.threads, limit)?;
        let info = cpu.info();
        if options.precision != Precision::F32 {
            let why = "the CPU backend computes in f32 only".to_owned();
            return Err(DeviceError::Precision { device: info.name, precision: options.precision, why });
        }
        let options = options.clone();
        Ok(Device { inner: Arc::new(Inner { backend: Backend::Cpu(cpu), info, options }) })
    }

    fn with_gpu(gpu: Gpu, options: &DeviceOptions) -> Result<Device, DeviceError> {
        let (info, options) = (gpu.info(), options.clone());
        let device =
            Device { inner: Arc::new(Inner { backend: Backend::Gpu(Box::new(gpu)), info, options }) };
        gpu::self_test(&device)?;
        Ok(device)
    }
}
