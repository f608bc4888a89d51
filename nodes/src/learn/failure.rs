//! Errors of the crates below as failures of a node.

use celldag_engine::NodeError;
use celldag_models::ModelError;
use celldag_shaders::{DeviceError as Fault, Error as DeviceError};

use crate::embed::failure::Failure;
pub(crate) use crate::failure::data;

/// A device that failed: exit 4.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(device)`")]
pub(crate) fn device(error: DeviceError) -> NodeError {
    let failure = match &error {
        DeviceError::Device(Fault::Lost { .. }) => NodeError::lost,
        DeviceError::Device(Fault::OutOfMemory { .. } | Fault::TooLarge { .. }) => NodeError::memory,
        _ => NodeError::device,
    };
    failure(error.to_string()).help("use `--device cpu`, or a smaller `batch_size`")
}

/// A training step that failed. A batch (of so many cells, computed in so many parts) that does not fit the memory is not cut on
/// its own: the gradient of parts has other last bits, and results must not depend on how much memory was free.
pub(super) fn too_large(error: ModelError, [cells, parts]: [usize; 2]) -> Failure {
    if !error.is_out_of_memory() {
        return error.into();
    }
    let help = if parts < cells {
        format!(
            "layers were already computed twice (`recompute`); set `accumulation: {}` (now {parts}): a batch of {cells} cells is \
             then computed in so many parts, one after the other",
            (2 * parts).min(cells)
        )
    } else {
        "one cell does not fit, even with its layers computed twice; use `--device cpu`, or a device with more memory"
            .to_owned()
    };
    NodeError::memory(error.to_string()).help(help).into()
}

/// A validation cell that does not fit the memory alone; of several cells, fewer were computed at once before.
pub(super) fn validation_too_large(error: ModelError) -> Failure {
    if !error.is_out_of_memory() {
        return error.into();
    }
    let help = "one validation cell does not fit; use a shorter `context`, `--device cpu`, or a device with more memory";
    NodeError::device(error.to_string()).help(help).into()
}

/// An output that cannot be written.
pub(crate) fn io(error: impl std::fmt::Display) -> NodeError {
    NodeError::failed(error.to_string())
}
