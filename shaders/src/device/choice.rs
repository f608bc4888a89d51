//! The GPUs among which the jobs of a run are spread.

use crate::error::DeviceError;
use crate::gpu::{self, AdapterSummary};
use crate::visible::{Candidate, System, variable_of};

/// A GPU that a choice allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuChoice {
    /// What opens it and nothing else, for [`Device::open`](crate::Device::open).
    pub device: String,
    /// Its memory in bytes, where the driver says so.
    pub memory: Option<u64>,
    /// Its address on the PCI bus (`0000:65:00.0`); empty where the driver does not say.
    pub pci: String,
    /// The variable by which programs find it with the driver of its vendor, and its id there; see
    /// [`variable_of`](crate::visible::variable_of).
    pub variable: Option<(&'static str, String)>,
}

/// The GPUs that `choice` means (as for [`Device::open`](crate::Device::open)); none where it means the CPU. Where it means
/// several, they are all of one model and driver, so that it does not matter to the last bit of a result which one a job gets.
///
/// # Errors
/// [`DeviceError::NotFound`] when nothing fits; [`DeviceError::Unmapped`] when a scheduler has handed out GPUs in a way
/// that cannot be followed.
pub fn choose_gpus(choice: &str) -> Result<Vec<GpuChoice>, DeviceError> {
    let choice = choice.trim().to_ascii_lowercase();
    let found = match choice.as_str() {
        "cpu" => Vec::new(),
        "auto" | "" => {
            let found = gpu::hardware_adapters()?;
            let hidden = || gpu::adapters().iter().any(|adapter| !AdapterSummary::new(0, adapter).software);
            if found.is_empty() && hidden() {
                tracing::warn!(
                    "the environment hides all GPUs (CUDA_VISIBLE_DEVICES and the like): using the CPU"
                );
            }
            found
        }
        choice => gpu::find_adapters(choice)?,
    };
    let found: Vec<AdapterSummary> =
        found.iter().map(|(index, adapter)| AdapterSummary::new(*index, adapter)).collect();
    let alike = |gpu: &&AdapterSummary| gpu.name == found[0].name && gpu.driver == found[0].driver;
    let alike: Vec<&AdapterSummary> = found.iter().filter(alike).collect();
    let several = alike.len() > 1;
    let device = |gpu: &AdapterSummary| match (several, gpu.pci.as_str()) {
        // `auto` falls back to the CPU where its only GPU cannot be opened.
        (false, _) => choice.clone(),
        (true, "") => gpu.index.to_string(),
        (true, pci) => format!("pci:{pci}"),
    };
    let choice = |gpu: &AdapterSummary| {
        let candidate = Candidate { vendor: gpu.vendor, pci: gpu.pci.clone() };
        let variable = variable_of(&candidate, &System);
        GpuChoice { device: device(gpu), memory: gpu.memory, pci: candidate.pci, variable }
    };
    Ok(alike.into_iter().map(choice).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_no_gpu_and_a_software_driver_is_one_with_memory() {
        assert_eq!(choose_gpus("cpu"), Ok(Vec::new()));
        match choose_gpus("software") {
            Err(DeviceError::NotFound { .. }) => {}
            found => {
                let found = found.unwrap();
                assert_eq!((found.len(), found[0].device.as_str()), (1, "software"));
                if cfg!(target_os = "linux") {
                    assert!(found[0].memory.is_some_and(|memory| memory > 1 << 20), "{found:?}");
                }
            }
        }
        assert!(matches!(choose_gpus("pci:ffff:ff:ff.7"), Err(DeviceError::NotFound { .. })));
    }
}
