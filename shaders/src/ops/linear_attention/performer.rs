//! The attention of Performers with positive random features (scBERT, CellLM, the decoder of scFoundation).

use super::kernelised::{Operands, attend};
use super::rule::{FeatureMap, Rule};
use crate::error::Result;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// Over which keys the largest projection is taken that keeps the exponentials from overflowing. Because a constant is
/// added after the exponentials, it does not cancel in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMaximum {
    /// The keys and heads of a segment: a segment's result does not depend on the rest of the batch.
    PerSegment,
    /// All keys and heads of the batch, as the published implementations do it: for comparison with them.
    WholeBatch,
}

/// Choices of [`performer_attention`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerformerSettings {
    /// Added to every feature after the exponential; 1e-4 in the published implementations.
    pub eps: f32,
    /// See [`KeyMaximum`].
    pub key_maximum: KeyMaximum,
}

impl Default for PerformerSettings {
    fn default() -> Self {
        PerformerSettings { eps: 1e-4, key_maximum: KeyMaximum::PerSegment }
    }
}

/// FAVOR+ attention with positive features (Choromanski et al. 2021) inside each segment and head:
/// φ(qᵢ) (Σⱼ φ(kⱼ) vⱼᵀ) / (φ(qᵢ) · Σⱼ φ(kⱼ)) over all rows j of the segment, with
/// φ(z) = exp(a(z) - |c z|² / 2 - m) + eps, a(z) = `projection` c z, c = head_width^(-1/4), where m is the largest a of the
/// row for queries, and that of [`PerformerSettings::key_maximum`] for keys (the factor features^(-1/2) of the paper cancels).
///
/// `q`, `k` and `v` are `[rows, heads * head_width]` with head h in columns `h * head_width..`, and so is the result;
/// `projection` `[features, head_width]` serves all heads and is taken as constant. Gradients flow through the maxima; a
/// maximum that occurs more than once passes equal parts on. Features are computed for a bounded number of rows at a time.
///
/// # Errors
/// Shapes or devices do not fit, or a head is wider than 128; the device's errors.
pub fn performer_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    projection: &Tensor,
    segments: &Segments,
    heads: usize,
    settings: PerformerSettings,
) -> Result<Tensor> {
    const OP: &str = "performer_attention";
    let (features, head_width) = projection.matrix(OP, "projection")?;
    let map = FeatureMap::Exponential { eps: settings.eps, maximum: settings.key_maximum };
    let rule = Rule { heads, head_width, features, map };
    attend(&Operands { op: OP, q, k, v, projection, strides: [head_width, 1], segments, rule })
}
