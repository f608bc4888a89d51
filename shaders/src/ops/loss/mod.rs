//! Losses: the loss of each row and, in the same pass, the gradient at the predictions.

mod bce;
mod cross_entropy;
mod squared_error;
mod value;

pub use bce::bce_with_logits;
pub(crate) use cross_entropy::Goals;
pub use cross_entropy::{CrossEntropy, softmax_cross_entropy, softmax_cross_entropy_with};
pub use squared_error::mean_squared_error;
pub use value::Loss;

use crate::kernels::Kernel;

/// The kernels of the losses, in all variants that they launch.
pub(super) fn kernels() -> Vec<Kernel> {
    [bce::kernels(), cross_entropy::kernels(), squared_error::kernels()].concat()
}
