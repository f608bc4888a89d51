//! Errors of celldag-data as failures of a node: the one place that decides their cause.

use celldag_data::DataError;
use celldag_engine::NodeError;
use celldag_engine::step::Outlook;

/// A file that cannot be read is bad input (exit 3); one that cannot be written is a failure of the node (exit 1), since
/// no other input would help a full disk.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(data)`")]
pub(crate) fn data(error: DataError) -> NodeError {
    let failure = match &error {
        DataError::Write { .. } => NodeError::failed(error.to_string()),
        // The disk may be at fault, or a share that is not mounted: the next run tries again.
        DataError::Io { .. } => NodeError::data(error.to_string()).outlook(Outlook::Unknown),
        _ => NodeError::data(error.to_string()),
    };
    failure.help(error.help())
}
