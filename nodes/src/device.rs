//! The compute device of a step, and what the run record says about it.

use celldag_engine::{NodeError, Step};
use celldag_shaders::{Device, DeviceError, DeviceOptions, Precision};

/// Opens the device that the step asks for and records backend, adapter and driver as facts of the execution.
///
/// # Errors
/// [`FailureCause::Device`](celldag_engine::FailureCause::Device) when no device fits.
pub(crate) fn open(step: &Step<'_>) -> Result<Device, NodeError> {
    open_in(step, Precision::F32)
}

/// As [`open`], with matrix products in `precision`.
///
/// # Errors
/// Also when the device cannot compute in it.
pub(crate) fn open_in(step: &Step<'_>, precision: Precision) -> Result<Device, NodeError> {
    let options = DeviceOptions {
        precision,
        memory_limit: step.memory_limit,
        main_memory: step.main_memory,
        ..DeviceOptions::new(step.device, step.threads)
    };
    let device = Device::open_with(&options).map_err(|error| {
        let help = match error {
            DeviceError::Precision { .. } => "`celldag devices` lists the features of each adapter",
            _ => "`celldag devices` lists what this machine has; `--device cpu` always works",
        };
        NodeError::device(error.to_string()).help(help)
    })?;
    let info = device.info();
    step.execution("backend", info.backend);
    step.execution("adapter", info.name.as_str());
    step.execution("driver", info.driver.as_str());
    step.execution("api", info.api.as_str());
    Ok(device)
}
