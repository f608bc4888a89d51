//! The GPU backend: adapters, memory, recording of dispatches, and readback, all through wgpu.

mod adapter;
mod binding;
mod cooperative;
mod faults;
mod features;
mod folder;
mod launch;
mod memory;
mod pace;
mod pipelines;
mod readback;
mod staging;
mod stopwatch;
mod tune;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use adapter::AdapterSummary;
pub(crate) use adapter::{adapters, find_adapters, hardware_adapters, visible};
pub(crate) use binding::{Binding, WINDOW_ROWS};
pub(crate) use cooperative::{Cooperative, self_test};
pub use features::CooperativeShape;
pub(crate) use features::Features;
pub(crate) use folder::driver_folder;
pub(crate) use launch::{Cost, Launch};
pub(crate) use memory::GpuBuffer;
pub(crate) use readback::Readback;

use crate::device::{DeviceInfo, DeviceOptions};
use crate::error::DeviceError;
use crate::memory::{Account, MemoryReport};
use crate::precision::Precision;
use faults::Faults;
use launch::Recording;
use memory::Memory;
use pace::Pace;
use pipelines::Pipelines;
use readback::Unused;
use tune::Tuner;

/// An open adapter.
pub(crate) struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: DeviceInfo,
    features: Features,
    precision: Precision,
    tiled: AtomicBool,
    faults: Arc<Faults>,
    memory: Arc<Memory>,
    pipelines: Pipelines,
    tuner: Tuner,
    recording: Mutex<Recording>,
    /// Staging buffers of readbacks.
    unused: Unused,
    parameters: wgpu::Buffer,
    /// Bytes of all staging buffers.
    staged: Arc<AtomicU64>,
}

impl Gpu {
    /// Opens `adapter` with all the limits that it has and the features that kernels know.
    ///
    /// # Errors
    /// [`DeviceError::Precision`] if the adapter cannot compute in the precision of `options`; the driver's refusal.
    pub(crate) fn open(adapter: &wgpu::Adapter, options: &DeviceOptions) -> Result<Gpu, DeviceError> {
        let found = adapter.get_info();
        let name = found.name.clone();
        let mut limits = adapter.limits();
        if let Some(most) = options.binding_limit {
            limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(most);
        }
        let requested = Features::wanted(adapter, options);
        let features = Features::granted(adapter, requested);
        features.expect(options.precision, &name)?;
        let experimental_features = if features.cooperative.is_empty() {
            wgpu::ExperimentalFeatures::disabled()
        } else {
            #[expect(unsafe_code, reason = "wgpu asks everybody to sign for its experimental features")]
            // SAFETY: the kernels that use cooperative matrices are tested on this device before they are used.
            unsafe {
                wgpu::ExperimentalFeatures::enabled()
            }
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("celldag"),
            required_features: requested,
            required_limits: limits.clone(),
            experimental_features,
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| DeviceError::Refused { device: name.clone(), message: error.to_string() })?;
        let faults = Faults::watch(&device, &name);
        let memory = Memory::new(device.clone(), Arc::clone(&faults), options.memory_limit);
        let parameters = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: launch::PARAMETER_BYTES as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let software = found.device_type == wgpu::DeviceType::Cpu;
        // Software drivers keep compiled code themselves, if at all.
        let folder = options.driver_folder.clone().or_else(|| driver_folder().filter(|_| !software));
        let info = adapter::device_info(&found, &limits, requested);
        let tuner = Tuner::open(&info, folder.clone(), !software || options.driver_folder.is_some());
        let folder = folder.filter(|_| features.pipeline_cache);
        let pipelines = Pipelines::open(&device, &found, folder, options.checks, features.immediates);
        faults.check()?;
        Ok(Gpu {
            device,
            queue,
            info,
            features,
            precision: options.precision,
            tiled: AtomicBool::new(!software),
            faults,
            memory,
            pipelines,
            tuner,
            recording: Mutex::new(Recording::new(Pace::new(found.device_type))),
            unused: Unused::default(),
            parameters,
            staged: Arc::default(),
        })
    }

    /// What kernels may use.
    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    /// Whether this thread rehearses: buffers have no memory, launches do nothing, results are zeros.
    pub(crate) fn rehearsing(&self) -> bool {
        self.memory.account().rehearsing()
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        self.memory.account()
    }

    pub(crate) fn memory(&self) -> MemoryReport {
        MemoryReport { staging: self.staged.load(Ordering::Relaxed), ..self.memory.report() }
    }

    /// Names of the kernel files that were compiled.
    pub(crate) fn compiled(&self) -> Vec<&'static str> {
        self.pipelines.names()
    }

    /// Loses the device on purpose.
    pub(crate) fn destroy(&self) {
        self.faults.lose("destroyed on purpose");
        self.device.destroy();
    }

    pub(crate) fn info(&self) -> DeviceInfo {
        self.info.clone()
    }

    /// Whether to use the kernels that share tiles in workgroup memory; drivers that run shaders on a CPU are faster with
    /// the others.
    pub(crate) fn tiled(&self) -> bool {
        self.tiled.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tiled(&self, tiled: bool) {
        self.tiled.store(tiled, Ordering::Relaxed);
    }

    pub(crate) fn largest_binding(&self) -> u64 {
        self.memory.largest_binding()
    }

    /// A buffer of `count` f32 values with undefined contents.
    pub(crate) fn buffer(&self, count: usize) -> Result<GpuBuffer, DeviceError> {
        self.allocate(count as u64 * 4)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // A queue that is still busy when its device goes away would keep the process waiting inside the driver.
        let _ = self.wait();
    }
}

/// Locks `mutex`; the data behind our locks is whole at every await-free step, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
