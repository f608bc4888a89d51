//! What the system says about its GPUs, besides Vulkan.

use std::path::Path;

/// A GPU as the system shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbedGpu {
    /// Address on the PCI bus, as Vulkan writes it (`0000:65:00.0`).
    pub pci: String,
    /// Id that the vendor gives it (`GPU-5a8f...`); empty where it is not known.
    pub uuid: String,
    /// Model; empty where it is not known.
    pub model: String,
    /// Number of its device file (`/dev/nvidia3`), where the driver says so.
    pub minor: Option<u32>,
}

/// Asks the system.
pub trait Probe {
    /// All GPUs of a vendor (PCI id) that the system shows, in any order.
    fn gpus(&self, vendor: u32) -> Vec<ProbedGpu>;
}

/// This machine: `/proc/driver/nvidia` for NVIDIA, `/sys/bus/pci` for the others. Empty on systems without these.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Probe for System {
    fn gpus(&self, vendor: u32) -> Vec<ProbedGpu> {
        match vendor {
            super::NVIDIA => nvidia(Path::new("/proc/driver/nvidia/gpus")),
            _ => bus(Path::new("/sys/bus/pci/devices"), vendor),
        }
    }
}

/// One folder a GPU, named by its address, with a file `information`.
fn nvidia(folder: &Path) -> Vec<ProbedGpu> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
    let read = |entry: std::io::Result<fs_err::DirEntry>| {
        let text = fs_err::read_to_string(entry.ok()?.path().join("information")).ok()?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
            line.unwrap_or_default().trim().to_owned()
        };
        let (pci, uuid, model) = (field("Bus Location"), field("GPU UUID"), field("Model"));
        let minor = field("Device Minor").parse().ok();
        (!pci.is_empty()).then(|| ProbedGpu { pci: pci.to_ascii_lowercase(), uuid, model, minor })
    };
    entries.filter_map(read).collect()
}

/// Display and compute devices of a vendor.
fn bus(folder: &Path, vendor: u32) -> Vec<ProbedGpu> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
    let read = |entry: std::io::Result<fs_err::DirEntry>| {
        let entry = entry.ok()?;
        let number = |name: &str| {
            let text = fs_err::read_to_string(entry.path().join(name)).ok()?;
            u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
        };
        // Class 03: display; 12: processing accelerator.
        let class = number("class")? >> 16;
        (number("vendor")? == vendor && [0x03, 0x12].contains(&class)).then_some(())?;
        let unique = fs_err::read_to_string(entry.path().join("unique_id")).unwrap_or_default();
        let uuid = if unique.trim().is_empty() { String::new() } else { format!("GPU-{}", unique.trim()) };
        let pci = entry.file_name().to_string_lossy().to_ascii_lowercase();
        Some(ProbedGpu { pci, uuid, ..ProbedGpu::default() })
    };
    entries.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_nvidia_driver_are_read() {
        let folder = std::env::temp_dir().join(format!("celldag-nvidia-{}", std::process::id()));
        let gpu = folder.join("0000:65:00.0");
        fs_err::create_dir_all(&gpu).unwrap();
        let text = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 105\nGPU UUID: \t GPU-5a8f1c2d\nBus Type: \t PCIe\nBus Location: \t 0000:65:00.0\nDevice Minor: \t 3\n";
        fs_err::write(gpu.join("information"), text).unwrap();
        let found = nvidia(&folder);
        fs_err::remove_dir_all(&folder).unwrap();
        let wanted = ProbedGpu {
            pci: "0000:65:00.0".to_owned(),
            uuid: "GPU-5a8f1c2d".to_owned(),
            model: "NVIDIA H200".to_owned(),
            minor: Some(3),
        };
        assert_eq!(found, [wanted]);
        assert_eq!(nvidia(Path::new("/nowhere")), []);
    }
}
