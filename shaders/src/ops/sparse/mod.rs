//! Sparse matrices (compressed rows) times dense ones.

mod dots;
mod pattern;
mod product;

pub(super) use dots::dots;
pub use pattern::Csr;
pub use product::csr_matmul;
pub(super) use product::{EmptyRow, multiply};

use crate::kernels::Kernel;

/// The kernels of sparse products, in all variants that they launch.
pub(super) fn kernels() -> Vec<Kernel> {
    [product::kernels(), dots::kernels()].concat()
}
