//! Finding adapters and choosing one; a software driver is never chosen unless it is asked for.

use super::features::{self, CooperativeShape};
use crate::device::DeviceInfo;
use crate::error::DeviceError;
use crate::visible::{self, Candidate, Unmapped};

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
    /// Address on the PCI bus (`0000:65:00.0`), which `--device pci:0000:65:00.0` accepts; empty where the driver does not
    /// say.
    pub pci: String,
    /// PCI id of the vendor.
    pub vendor: u32,
    /// Memory of the device in bytes, where the driver says so.
    pub memory: Option<u64>,
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
            pci: pci(&found),
            vendor: found.vendor,
            memory: memory(adapter),
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

/// Address on the PCI bus.
fn pci(info: &wgpu::AdapterInfo) -> String {
    info.device_pci_bus_id.to_ascii_lowercase()
}

/// The largest heap of device memory. wgpu does not tell; Vulkan does.
#[cfg(any(target_os = "linux", windows))]
fn memory(adapter: &wgpu::Adapter) -> Option<u64> {
    /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
    const DEVICE_LOCAL: u32 = 1;
    #[expect(unsafe_code, reason = "the only way to ask Vulkan through wgpu")]
    // SAFETY: the adapter lives longer than what is borrowed from it here, and nothing of it is destroyed.
    let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = adapter.shared_instance().raw_instance();
    #[expect(unsafe_code, reason = "a call of Vulkan")]
    // SAFETY: the physical device is one of this instance.
    let found = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
    let heaps = found.memory_heaps.iter().take(found.memory_heap_count as usize);
    heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
}

#[cfg(not(any(target_os = "linux", windows)))]
fn memory(_adapter: &wgpu::Adapter) -> Option<u64> {
    None
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

/// Which of `adapters` the variables of schedulers leave visible.
pub(crate) fn visible(adapters: &[wgpu::Adapter]) -> Result<Vec<bool>, Unmapped> {
    let candidate = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        Candidate { vendor: info.vendor, pci: pci(&info) }
    };
    let candidates: Vec<Candidate> = adapters.iter().map(candidate).collect();
    visible::visible(&|name| std::env::var(name).ok(), &candidates, &visible::System)
}

/// Hardware adapters that are visible, with their indices: discrete before integrated before the rest.
pub(crate) fn hardware_adapters() -> Result<Vec<(usize, wgpu::Adapter)>, DeviceError> {
    let rank = |adapter: &wgpu::Adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => Some(0),
        wgpu::DeviceType::IntegratedGpu => Some(1),
        wgpu::DeviceType::VirtualGpu => Some(2),
        wgpu::DeviceType::Other => Some(3),
        wgpu::DeviceType::Cpu => None,
    };
    let all = adapters();
    if all.iter().all(|adapter| rank(adapter).is_none()) {
        return Ok(Vec::new());
    }
    let seen = visible(&all)?;
    let mut ranked: Vec<_> = all
        .into_iter()
        .enumerate()
        .filter(|(index, _)| seen[*index])
        .filter_map(|(index, adapter)| Some((rank(&adapter)?, index, adapter)))
        .collect();
    ranked.sort_by_key(|(rank, index, _)| (*rank, *index));
    Ok(ranked.into_iter().map(|(_, index, adapter)| (index, adapter)).collect())
}

/// The adapters that `choice` (lower case) names, with their indices, best first: `gpu`, `software`, `pci:` and an address, an
/// index, or a part of a name. An address and an index mean what they say; of the others, only visible adapters are taken.
pub(crate) fn find_adapters(choice: &str) -> Result<Vec<(usize, wgpu::Adapter)>, DeviceError> {
    let software = |adapter: &wgpu::Adapter| adapter.get_info().device_type == wgpu::DeviceType::Cpu;
    let named = |adapter: &wgpu::Adapter| adapter.get_info().name.to_lowercase().contains(choice);
    let all = || adapters().into_iter().enumerate();
    let (found, why): (Vec<_>, _) = if choice == "gpu" {
        let why = "there is no visible hardware GPU with a Vulkan, Metal or DX12 driver";
        (hardware_adapters()?, why)
    } else if choice == "software" {
        (all().filter(|(_, adapter)| software(adapter)).take(1).collect(), "no software driver is installed")
    } else if let Some(address) = choice.strip_prefix("pci:") {
        let there = |(_, adapter): &(usize, wgpu::Adapter)| pci(&adapter.get_info()) == address;
        (all().filter(there).take(1).collect(), "there is no adapter at this address")
    } else if let Ok(index) = choice.parse::<usize>() {
        (all().filter(|(at, _)| *at == index).collect(), "there is no adapter with this index")
    } else {
        let software = all().filter(|(_, adapter)| software(adapter) && named(adapter));
        let hardware = hardware_adapters()?.into_iter().filter(|(_, adapter)| named(adapter));
        (hardware.chain(software).collect(), "no visible adapter has this in its name")
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let shown = |(index, adapter): (usize, wgpu::Adapter)| {
        let info = adapter.get_info();
        format!("{index} = {} ({}, {})", info.name, info.backend, kind(info.device_type))
    };
    Err(DeviceError::NotFound { asked: choice.to_owned(), why, found: all().map(shown).collect() })
}
