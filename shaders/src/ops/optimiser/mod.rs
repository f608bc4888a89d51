//! Parameters and the steps that change them in place, with the semantics of torch's optimisers.

mod adagrad;
mod adam;
mod parameter;
mod sgd;
mod step;

pub use adagrad::{Adagrad, adagrad};
pub(crate) use adam::AdamStep;
pub use adam::{Adam, adam, adamw};
pub use parameter::{OptimiserState, Parameter};
pub(crate) use sgd::SgdStep;
pub use sgd::{Sgd, sgd_momentum};

use crate::kernels::Kernel;

/// The kernels of the optimisers, in all variants that they launch.
pub(super) fn kernels() -> Vec<Kernel> {
    ["adagrad", "adam", "sgd"].map(|name| Kernel::new(name, &[])).to_vec()
}
