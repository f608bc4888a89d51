//! How wide heads of attention may be, and which widths kernels are tested with.

use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Widest head that kernels keep in registers.
pub(super) const WIDEST_HEAD: usize = 128;

/// Widths of heads of the models, and such that end in every part of a vector of four.
pub(super) const TYPICAL_HEADS: [usize; 10] = [4, 10, 16, 20, 32, 64, 80, 96, 127, 128];

/// Columns of one of `heads` heads of `q`.
///
/// # Errors
/// They are not whole, or too wide.
pub(super) fn expect_heads(op: &'static str, q: &Tensor, heads: usize) -> Result<usize> {
    let (_, width) = q.matrix(op, "q")?;
    if heads == 0 || width == 0 || width % heads != 0 || width / heads > WIDEST_HEAD {
        let message =
            format!("{width} columns cannot be cut into {heads} heads of 1 to {WIDEST_HEAD} columns");
        return Err(Error::shape(op, message));
    }
    Ok(width / heads)
}
