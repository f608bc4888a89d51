//! Compiled kernels: each is compiled once for a device, and kept in a file between runs where the driver can.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::faults::Faults;
use super::{folder, lock};
use crate::error::DeviceError;
use crate::kernels::Kernel;

/// The pipelines of one device.
pub(super) struct Pipelines {
    compiled: Mutex<BTreeMap<Kernel, Arc<wgpu::ComputePipeline>>>,
    kept: Option<Kept>,
    checks: bool,
    immediates: bool,
}

/// The driver's cache and the file that it came from.
struct Kept {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    loaded: Vec<u8>,
}

impl Pipelines {
    /// With the pipelines of former runs if `folder` holds some of this adapter and driver. With `checks`, shaders test
    /// every index and bound every loop; with `immediates`, they find their parameters in immediate data.
    pub(super) fn open(
        device: &wgpu::Device,
        adapter: &wgpu::AdapterInfo,
        folder: Option<PathBuf>,
        checks: bool,
        immediates: bool,
    ) -> Pipelines {
        let kept = folder.zip(wgpu::util::pipeline_cache_key(adapter)).map(|(folder, key)| {
            let path = folder.join(key);
            let loaded = folder::read(&path).unwrap_or_default();
            let descriptor = wgpu::PipelineCacheDescriptor {
                label: Some("celldag"),
                data: (!loaded.is_empty()).then_some(&loaded),
                fallback: true,
            };
            #[expect(unsafe_code, reason = "wgpu cannot prove where the bytes come from")]
            // SAFETY: the bytes are those that `get_data` gave for an adapter of the same key: the file is written only by
            // `Kept::drop`, and a checksum finds files that were damaged since.
            let cache = unsafe { device.create_pipeline_cache(&descriptor) };
            Kept { cache, path, loaded }
        });
        Pipelines { compiled: Mutex::default(), kept, checks, immediates }
    }

    /// The compiled kernel.
    pub(super) fn get(
        &self,
        device: &wgpu::Device,
        faults: &Faults,
        kernel: &Kernel,
    ) -> Result<Arc<wgpu::ComputePipeline>, DeviceError> {
        let mut compiled = lock(&self.compiled);
        if let Some(pipeline) = compiled.get(kernel) {
            return Ok(Arc::clone(pipeline));
        }
        let started = std::time::Instant::now();
        let pipeline = faults.scoped(device, || self.compile(device, kernel))?;
        tracing::debug!(kernel = kernel.name, elapsed = ?started.elapsed(), "compiled");
        let pipeline = Arc::new(pipeline);
        compiled.insert(kernel.clone(), Arc::clone(&pipeline));
        Ok(pipeline)
    }

    fn compile(&self, device: &wgpu::Device, kernel: &Kernel) -> wgpu::ComputePipeline {
        let source = if self.immediates { kernel.source_with_immediates() } else { kernel.source() };
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        };
        let module = if self.checks {
            device.create_shader_module(descriptor)
        } else {
            #[expect(
                unsafe_code,
                reason = "checks of indices that are in range cost up to a half of the speed"
            )]
            // SAFETY: only kernels of this crate come here. Each compares its indices with the sizes in its parameters,
            // which the launchers derive from the shapes of the tensors that they bind, and no loop is without end. A test
            // runs the kernels with and without checks and finds the same bits.
            unsafe {
                device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
            }
        };
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: self.kept.as_ref().map(|kept| &kept.cache),
        })
    }

    /// Names of the kernel files that were compiled.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = lock(&self.compiled).keys().map(|kernel| kernel.name).collect();
        names.dedup();
        names
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(bytes) = self.cache.get_data().filter(|bytes| *bytes != self.loaded) {
            folder::write(&self.path, &bytes);
        }
    }
}
