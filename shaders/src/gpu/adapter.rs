//! Finding adapters and choosing one; a software driver is never chosen unless it is asked for.

use super::features::{self, CooperativeShape};
use crate::device::DeviceInfo;
use crate::error::DeviceError;

/// One adapter of this machine, for `celldag devices`.
#[derive(Debug, Clone)]
pub struct AdapterSummary {
    /// Number that `--device` accepts.
    pub index: usize,
    /// Name that `--device` accepts, whole or in part.
    pub name: String,
    /// Driver and its version.
    pub driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub api: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// Whether shaders run on the CPU.
    pub software: bool,
    /// Features that kernels can make use of, by their WebGPU names.
    pub features: Vec<&'static str>,
    /// Largest buffer in bytes.
    pub largest_buffer: u64,
    /// Largest tensor that a kernel can bind, in bytes.
    pub largest_binding: u64,
    /// Memory that the invocations of a workgroup share, in bytes.
    pub workgroup_memory: u32,
    /// Invocations of a workgroup.
    pub workgroup_size: u32,
    /// Smallest and largest subgroup.
    pub subgroup_sizes: (u32, u32),
    /// Floating-point products that the cooperative matrix units offer; none where there are no such units.
    pub cooperative: Vec<CooperativeShape>,
}

impl AdapterSummary {
    pub(crate) fn new(index: usize, adapter: &wgpu::Adapter) -> AdapterSummary {
        let found = adapter.get_info();
        let (limits, offered) = (adapter.limits(), adapter.features());
        let info = device_info(&found, &limits, offered);
        let cooperative = if offered.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
            features::cooperative_shapes(adapter)
        } else {
            Vec::new()
        };
        AdapterSummary {
            index,
            name: info.name,
            driver: info.driver,
            api: info.api,
            kind: kind(found.device_type),
            software: info.software,
            features: info.features,
            largest_buffer: info.largest_buffer,
            largest_binding: info.largest_binding,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_size: limits.max_compute_invocations_per_workgroup,
            subgroup_sizes: (found.subgroup_min_size, found.subgroup_max_size),
            cooperative,
        }
    }
}

fn kind(kind: wgpu::DeviceType) -> &'static str {
    match kind {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}

/// What a device on an adapter with these limits and features is.
pub(crate) fn device_info(
    found: &wgpu::AdapterInfo,
    limits: &wgpu::Limits,
    features: wgpu::Features,
) -> DeviceInfo {
    DeviceInfo {
        backend: "gpu",
        name: found.name.clone(),
        driver: format!("{} {}", found.driver, found.driver_info).trim().to_owned(),
        api: found.backend.to_string(),
        software: found.device_type == wgpu::DeviceType::Cpu,
        features: features::names(features),
        largest_buffer: limits.max_buffer_size,
        largest_binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
    }
}

/// All adapters, in the order of the drivers.
pub(crate) fn adapters() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let descriptor = wgpu::InstanceDescriptor {
        backends,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends))
}

/// The best hardware adapter: discrete before integrated before the rest.
pub(crate) fn hardware_adapter() -> Option<wgpu::Adapter> {
    let rank = |adapter: &wgpu::Adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => Some(0),
        wgpu::DeviceType::IntegratedGpu => Some(1),
        wgpu::DeviceType::VirtualGpu => Some(2),
        wgpu::DeviceType::Other => Some(3),
        wgpu::DeviceType::Cpu => None,
    };
    let ranked = adapters().into_iter().filter_map(|adapter| rank(&adapter).map(|rank| (rank, adapter)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, adapter)| adapter)
}

/// The adapter that `choice` names: `gpu`, `software`, an index, or a part of a name (lower case).
pub(crate) fn find_adapter(choice: &str) -> Result<wgpu::Adapter, DeviceError> {
    let software = |adapter: &wgpu::Adapter| adapter.get_info().device_type == wgpu::DeviceType::Cpu;
    let named = |adapter: &wgpu::Adapter| adapter.get_info().name.to_lowercase().contains(choice);
    let all = adapters();
    let (found, why) = match choice {
        "gpu" => (hardware_adapter(), "there is no hardware GPU with a Vulkan, Metal or DX12 driver"),
        "software" => {
            (all.iter().find(|adapter| software(adapter)).cloned(), "no software driver is installed")
        }
        _ => match choice.parse::<usize>() {
            Ok(index) => (all.get(index).cloned(), "there is no adapter with this index"),
            Err(_) => (all.iter().find(|adapter| named(adapter)).cloned(), "no adapter has this in its name"),
        },
    };
    found.ok_or_else(|| DeviceError::NotFound {
        asked: choice.to_owned(),
        why,
        found: all
            .iter()
            .enumerate()
            .map(|(index, adapter)| {
                let info = adapter.get_info();
                format!("{index} = {} ({}, {})", info.name, info.backend, kind(info.device_type))
            })
            .collect(),
    })
}
