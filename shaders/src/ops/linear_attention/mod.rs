//! Linear attentions over ragged batches: sums over the keys of a segment that are then read by every query, so that the
//! work grows with the rows of a segment and not with their square.

mod curve;
mod feature;
mod flow;
mod gpu;
mod kernelised;
mod performer;
mod rule;

pub(crate) use curve::Curve;
pub use feature::{Denominator, feature_attention};
pub use flow::flow_attention;
pub use performer::{
    KeyMaximum, Performer, PerformerSettings, performer_attention, performer_attention_with,
};
pub(crate) use rule::{BLOCK_ROWS, Rule};

use crate::kernels::Kernel;

/// The kernels of this folder, in all variants for some widths.
pub(super) fn kernels() -> Vec<Kernel> {
    [gpu::kernels(), curve::kernels()].concat()
}
