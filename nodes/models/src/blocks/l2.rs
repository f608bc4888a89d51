//! Vectors of length 1, and the choice of them.

use celldag_shaders::ops;
use celldag_shaders::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// What is done with a vector at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Nothing.
    None,
    /// It is divided by its Euclidean length.
    L2,
}

impl Normalize {
    /// The vectors `x` `[rows, columns]` after it. With [`Normalize::L2`], a row of zeros gives not a number.
    ///
    /// # Errors
    /// What the device reports.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::L2 => l2_normalized(x),
        }
    }
}

/// Each row of `x` `[rows, columns]` divided by its Euclidean length.
fn l2_normalized(x: &Tensor) -> Result<Tensor> {
    let columns = x.shape().last().copied().unwrap_or(1).max(1);
    // √(sum of squares) is √(mean of squares) · √columns.
    #[expect(clippy::cast_precision_loss, reason = "widths of embeddings")]
    let factor = 1.0 / (columns as f32).sqrt();
    let weight = x.device().upload(&[columns], &vec![factor; columns])?;
    ops::rms_norm(x, None, &weight, 0.0)
}
