//! Vectors of length 1.

use celldag_shaders::ops;
use celldag_shaders::{Result, Tensor};

/// Each row of `x` `[rows, columns]` divided by its Euclidean length. A row of zeros gives not a number.
///
/// # Errors
/// What the device reports.
pub fn l2_normalized(x: &Tensor) -> Result<Tensor> {
    let columns = x.shape().last().copied().unwrap_or(1).max(1);
    // √(sum of squares) is √(mean of squares) · √columns.
    #[expect(clippy::cast_precision_loss, reason = "widths of embeddings")]
    let factor = 1.0 / (columns as f32).sqrt();
    let weight = x.device().upload(&[columns], &vec![factor; columns])?;
    ops::rms_norm(x, None, &weight, 0.0)
}
