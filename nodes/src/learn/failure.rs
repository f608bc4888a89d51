//! Errors of the crates below as failures of a node.

use celldag_engine::NodeError;
use celldag_shaders::Error as DeviceError;

pub(crate) use crate::failure::data;

/// A device that failed: exit 4.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(device)`")]
pub(crate) fn device(error: DeviceError) -> NodeError {
    NodeError::device(error.to_string()).help("use `--device cpu`, or a smaller `batch_size`")
}

/// An output that cannot be written.
pub(crate) fn io(error: impl std::fmt::Display) -> NodeError {
    NodeError::failed(error.to_string())
}
