//! A device: which backend and adapter do the work, and what is in its memory.

mod choice;
mod open;

use std::fmt;
use std::sync::Arc;

use crate::cpu::Cpu;
use crate::error::{Error, Result};
use crate::gpu::{self, Gpu};
use crate::memory::{MemoryReport, Plan};
use crate::precision::Precision;
use crate::tensor::Tensor;

pub use crate::gpu::AdapterSummary;
pub use choice::{GpuChoice, choose_gpus};
pub use open::DeviceOptions;

/// Where tensors live and operations run. Clones are handles of the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    info: DeviceInfo,
    options: DeviceOptions,
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
    /// Features that kernels can make use of, by their WebGPU names. Those of an open device were requested.
    pub features: Vec<&'static str>,
    /// Largest tensor in bytes.
    pub largest_buffer: u64,
    /// Largest part of a tensor that a kernel can bind, in bytes; larger tensors are worked on in parts.
    pub largest_binding: u64,
}

impl DeviceInfo {
    /// The adapter, for keys and saved states: the name without the number of threads of the CPU backend, on which no bit depends.
    pub fn adapter(&self) -> String {
        match self.backend {
            // It ends in `, 8 threads)`.
            "cpu" => {
                self.name.rsplit_once(',').map_or_else(|| self.name.clone(), |(name, _)| format!("{name})"))
            }
            _ => self.name.clone(),
        }
    }

    /// What the bits of a result may depend on: backend, adapter, driver. No result depends on threads.
    pub fn machine(&self) -> String {
        format!("{} {} {} {}", self.backend, self.adapter(), self.driver, self.api)
    }
}

impl Device {
    /// What this device is.
    pub fn info(&self) -> &DeviceInfo {
        &self.inner.info
    }

    /// Arithmetic of matrix products.
    pub fn precision(&self) -> Precision {
        self.inner.options.precision
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
                let mut buffer = cpu.result(values.len());
                if buffer.has_memory() {
                    buffer.values_mut().copy_from_slice(values);
                }
                buffer.check()?;
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

    /// Bytes of the largest tensor that kernels see as a whole, for choosing the size of batches. Operations on larger ones
    /// run part by part, up to the [`largest_buffer`](DeviceInfo::largest_buffer).
    pub fn largest_unsplit_bytes(&self) -> u64 {
        match self.backend() {
            Backend::Cpu(_) => isize::MAX as u64,
            Backend::Gpu(gpu) => gpu.largest_binding(),
        }
    }

    /// The memory of this device.
    pub fn memory(&self) -> MemoryReport {
        match self.backend() {
            Backend::Cpu(cpu) => cpu.memory(),
            Backend::Gpu(gpu) => gpu.memory(),
        }
    }

    /// Starts the peak of [`Device::memory`] again at what is live now.
    pub fn reset_peak(&self) {
        self.account().reset_peak();
    }

    /// The peak of live bytes that `work` would reach, without doing it: on this thread and until `work` returns, new
    /// tensors of this device are only counted, operations do nothing, and [`Tensor::read`] gives zeros. What is live
    /// now is included. The memory limit does not apply, so the answer may be above it.
    ///
    /// `work` must not depend on the values of results, must not step optimisers, and should not keep tensors: using
    /// one afterwards is an error.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn rehearse<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<u64, E> {
        let (result, found) = self.account().rehearse(|| work().map(drop));
        result.map(|()| found.peak)
    }

    /// Plans the memory of `work` by a rehearsal: a few buffers, of known sizes, that its tensors share. How much memory
    /// [`Device::run_planned`] will take is known then, to the byte: [`Plan::peak`].
    ///
    /// # Errors
    /// Those of `work`.
    pub fn plan<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<Plan, E> {
        let (result, found) = self.account().rehearse(|| work().map(drop));
        result.map(|()| Plan::new(self.account(), &found))
    }

    /// Does `work` in the memory that `plan` gives to each of its tensors. Results may be kept: a buffer comes back when
    /// its tensor is dropped. The bits of the results do not depend on the plan.
    ///
    /// Work that makes other tensors than the plan says goes on with memory of the pool, and tensors of other threads come
    /// from there; then it takes more than the plan's peak. All of it uses the pool if `plan` was made for another device,
    /// if it has no buffers, or if these cannot be had. Inside of a run that follows a plan, that plan goes on.
    pub fn run_planned<T>(&self, plan: &Plan, work: impl FnOnce() -> T) -> T {
        match self.backend() {
            Backend::Cpu(cpu) => cpu.follow(plan, work),
            Backend::Gpu(gpu) => gpu.follow(plan, work),
        }
    }

    fn account(&self) -> &Arc<crate::memory::Account> {
        match self.backend() {
            Backend::Cpu(cpu) => cpu.account(),
            Backend::Gpu(gpu) => gpu.account(),
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

/// Which of [`list_adapters`] the variables of schedulers leave visible ([`visible`](crate::visible)).
///
/// # Errors
/// When it is not certain which adapters a variable means.
pub fn visible_adapters() -> Result<Vec<bool>, crate::visible::Unmapped> {
    gpu::visible(&gpu::adapters())
}
