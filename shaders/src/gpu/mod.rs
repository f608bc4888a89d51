//! The GPU backend: adapters, memory, recording of dispatches, and readback, all through wgpu.

mod adapter;
mod binding;
mod faults;
mod launch;
mod memory;
mod readback;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use adapter::AdapterSummary;
pub(crate) use adapter::{adapters, find_adapter, hardware_adapter};
pub(crate) use binding::Binding;
pub(crate) use launch::{Cost, Launch};
pub(crate) use memory::GpuBuffer;

use crate::device::DeviceInfo;
use crate::error::DeviceError;
use crate::kernels::Kernel;
use faults::Faults;
use launch::Recording;
use memory::Memory;

/// An open adapter.
pub(crate) struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: DeviceInfo,
    speed: Speed,
    tiled: AtomicBool,
    faults: Arc<Faults>,
    memory: Arc<Memory>,
    pipelines: Mutex<BTreeMap<Kernel, Arc<wgpu::ComputePipeline>>>,
    recording: Mutex<Recording>,
    parameters: wgpu::Buffer,
}

/// A low estimate of what the adapter does per second, used only to cut work into submissions that end soon.
#[derive(Clone, Copy)]
struct Speed {
    flops: f64,
    bytes: f64,
}

impl Gpu {
    /// Opens `adapter` with all the limits that it has.
    pub(crate) fn open(adapter: &wgpu::Adapter) -> Result<Gpu, DeviceError> {
        let found = adapter.get_info();
        let name = found.name.clone();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("celldag"),
            required_features: wgpu::Features::empty(),
            required_limits: adapter.limits(),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| DeviceError::Refused { device: name.clone(), message: error.to_string() })?;
        let faults = Faults::watch(&device, &name);
        let memory = Memory::new(device.clone(), Arc::clone(&faults));
        let parameters = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: launch::PARAMETER_BYTES as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let speed = match found.device_type {
            wgpu::DeviceType::Cpu => Speed { flops: 3e9, bytes: 1e9 },
            wgpu::DeviceType::DiscreteGpu => Speed { flops: 1e12, bytes: 1e11 },
            _ => Speed { flops: 1e11, bytes: 1e10 },
        };
        faults.check()?;
        Ok(Gpu {
            device,
            queue,
            info: adapter::device_info(&found),
            speed,
            tiled: AtomicBool::new(found.device_type != wgpu::DeviceType::Cpu),
            faults,
            memory,
            pipelines: Mutex::new(BTreeMap::new()),
            recording: Mutex::new(Recording::default()),
            parameters,
        })
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
        let bytes = count as u64 * 4;
        match self.memory.allocate(bytes, false) {
            Err(DeviceError::OutOfMemory { .. }) => {
                // Results that nobody holds any more are still cached; finish the work that uses them and drop them.
                self.wait()?;
                self.memory.trim();
                self.memory.allocate(bytes, false)
            }
            other => other,
        }
    }

    /// A buffer with the given contents.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<GpuBuffer, DeviceError> {
        let buffer = match self.memory.allocate(bytes.len() as u64, true) {
            Err(DeviceError::OutOfMemory { .. }) => {
                self.wait()?;
                self.memory.trim();
                self.memory.allocate(bytes.len() as u64, true)?
            }
            other => other?,
        };
        self.queue.write_buffer(buffer.raw(), 0, bytes);
        Ok(buffer)
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
