//! Opening a device: which backend and adapter do the work.

use std::fmt;
use std::sync::Arc;

use crate::cpu::Cpu;
use crate::error::{DeviceError, Error, Result};
use crate::gpu::{self, Gpu};
use crate::tensor::Tensor;

pub use crate::gpu::AdapterSummary;

/// Where tensors live and operations run. Clones are handles of the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    info: DeviceInfo,
}

/// The two backends behind every operation.
pub(crate) enum Backend {
    Cpu(Cpu),
    Gpu(Box<Gpu>),
}

/// What a device is; goes into run records because results of different devices differ in their last bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// `cpu` (native code) or `gpu` (WGSL through wgpu).
    pub backend: &'static str,
    /// Adapter name, or instruction set and threads of the CPU backend.
    pub name: String,
    /// Driver and its version; the version of the backend for the CPU.
    pub driver: String,
    /// Graphics interface (`vulkan`, `metal`, `dx12`) or `native`.
    pub api: String,
    /// Whether the adapter is a driver that runs shaders on the CPU: for tests, not for speed.
    pub software: bool,
}

impl Device {
    /// Opens the device that `choice` names, with `threads` workers if it is the CPU (0: one per core).
    ///
    /// `auto` takes a hardware GPU if there is one and the native CPU backend otherwise, never a software driver;
    /// `cpu` the native backend; `gpu` a hardware GPU; `software` a software driver (for tests); anything else is the
    /// index of an adapter of [`list_adapters`] or a part of its name.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`] with what exists, or why the driver refused.
    pub fn open(choice: &str, threads: usize) -> Result<Device, DeviceError> {
        match choice.trim().to_ascii_lowercase().as_str() {
            "cpu" => Device::cpu(threads),
            "auto" | "" => match gpu::hardware_adapter() {
                Some(adapter) => match Gpu::open(&adapter) {
                    Ok(gpu) => Ok(Device::with_gpu(gpu)),
                    Err(error) => {
                        tracing::warn!(%error, "the GPU cannot be opened; using the native CPU backend");
                        Device::cpu(threads)
                    }
                },
                None => Device::cpu(threads),
            },
            name => Gpu::open(&gpu::find_adapter(name)?).map(Device::with_gpu),
        }
    }

    /// The native CPU backend with `threads` workers (0: one per core).
    ///
    /// # Errors
    /// [`DeviceError::Threads`] when the system cannot start them.
    pub fn cpu(threads: usize) -> Result<Device, DeviceError> {
        let cpu = Cpu::new(threads)?;
        let info = cpu.info();
        Ok(Device { inner: Arc::new(Inner { backend: Backend::Cpu(cpu), info }) })
    }

    fn with_gpu(gpu: Gpu) -> Device {
        let info = gpu.info();
        Device { inner: Arc::new(Inner { backend: Backend::Gpu(Box::new(gpu)), info }) }
    }

    /// What this device is.
    pub fn info(&self) -> &DeviceInfo {
        &self.inner.info
    }

    /// Copies `values` (row-major) to the device.
    ///
    /// # Errors
    /// [`Error::Shape`] when `shape` and the number of values disagree; the device's errors.
    pub fn upload(&self, shape: &[usize], values: &[f32]) -> Result<Tensor> {
        if shape.iter().product::<usize>() != values.len() {
            let message = format!("shape {shape:?} does not hold {} values", values.len());
            return Err(Error::shape("upload", message));
        }
        match self.backend() {
            Backend::Cpu(cpu) => {
                let mut buffer = cpu.buffer(values.len());
                buffer.values_mut().copy_from_slice(values);
                Ok(Tensor::from_cpu(self, shape, buffer))
            }
            Backend::Gpu(gpu) => Ok(Tensor::from_gpu(self, shape, gpu.upload(bytemuck::cast_slice(values))?)),
        }
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// The device's errors.
    pub fn zeros(&self, shape: &[usize]) -> Result<Tensor> {
        self.upload(shape, &vec![0.0; shape.iter().product()])
    }

    /// Whether both handles are of one device.
    pub fn same(&self, other: &Device) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The most bytes that one tensor may have.
    pub fn largest_tensor_bytes(&self) -> u64 {
        match self.backend() {
            Backend::Cpu(_) => isize::MAX as u64,
            Backend::Gpu(gpu) => gpu.largest_binding(),
        }
    }

    /// Chooses between the two sets of matrix product and attention kernels: those with tiles in workgroup memory (the
    /// default on hardware) and those without (the default on software drivers). Both give the same bits; this is for
    /// tests and measurements. Does nothing on the CPU.
    pub fn use_tiled_kernels(&self, tiled: bool) {
        if let Backend::Gpu(gpu) = self.backend() {
            gpu.set_tiled(tiled);
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    pub(crate) fn gpu(&self, op: &'static str) -> Result<&Gpu> {
        match self.backend() {
            Backend::Gpu(gpu) => Ok(gpu),
            Backend::Cpu(_) => Err(Error::MixedDevices { op }),
        }
    }

    /// Checks that all `tensors` live here.
    pub(crate) fn expect_home(&self, op: &'static str, tensors: &[&Tensor]) -> Result<()> {
        if tensors.iter().all(|tensor| self.same(tensor.device())) {
            return Ok(());
        }
        Err(Error::MixedDevices { op })
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("info", self.info()).finish_non_exhaustive()
    }
}

/// The adapters that the graphics drivers of this machine offer, software drivers included.
pub fn list_adapters() -> Vec<AdapterSummary> {
    gpu::adapters().iter().enumerate().map(|(index, adapter)| AdapterSummary::new(index, adapter)).collect()
}
