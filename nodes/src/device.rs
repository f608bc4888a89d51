//! The compute device of a step, and what the run record says about it.

use celldag_engine::{NodeError, Step};
use celldag_shaders::Device;

/// Opens the device that the step asks for and records backend, adapter and driver as facts of the execution.
///
/// # Errors
/// [`FailureCause::Device`](celldag_engine::FailureCause::Device) when no device fits.
pub(crate) fn open(step: &Step<'_>) -> Result<Device, NodeError> {
    let device = Device::open(step.device, step.threads).map_err(|e| {
        NodeError::device(e.to_string())
            .help("`celldag devices` lists what this machine has; `--device cpu` always works")
    })?;
    let info = device.info();
    step.execution("backend", info.backend);
    step.execution("adapter", info.name.as_str());
    step.execution("driver", info.driver.as_str());
    step.execution("api", info.api.as_str());
    Ok(device)
}
