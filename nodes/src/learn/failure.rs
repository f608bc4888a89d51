//! Errors of the crates below as failures of a node.

use celldag_data::DataError;
use celldag_engine::NodeError;
use celldag_shaders::Error as DeviceError;

/// A file that cannot be used: exit 3, with the way out.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(data)`")]
pub(crate) fn data(error: DataError) -> NodeError {
    NodeError::data(error.to_string()).help(error.help())
}

/// A device that failed: exit 4.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(device)`")]
pub(crate) fn device(error: DeviceError) -> NodeError {
    NodeError::device(error.to_string()).help("use `--device cpu`, or a smaller `batch_size`")
}

/// An output that cannot be written.
pub(crate) fn io(error: impl std::fmt::Display) -> NodeError {
    NodeError::failed(error.to_string())
}
