//! Pooling of ragged segments to one row each, and its backward passes.

mod backward;
mod forward;
mod weighted;

pub(crate) use backward::SKIPPED;
pub(crate) use forward::Reduction;
pub(super) use forward::reduce;
pub use forward::{Pool, pool};
pub use weighted::weighted_pool;

use crate::kernels::Kernel;

/// The kernels of pooling, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    [forward::kernels(), backward::kernels(), weighted::kernels()].concat()
}
