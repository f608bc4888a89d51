//! The linear attention of MolFormer: rectified projections as features.

use super::kernelised::{Operands, attend};
use super::rule::{FeatureMap, Rule};
use crate::error::Result;
use crate::segments::Segments;
use crate::tensor::Tensor;

/// What a result of [`feature_attention`] is divided by, given the sum φ(q) · Σ φ(k), which may be zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Denominator {
    /// The larger of the sum and this (1e-6 in the published weights' own code).
    AtLeast(f32),
    /// The sum plus this (1e-6 in the original training code).
    Plus(f32),
}

/// Linear attention (Katharopoulos et al. 2020) with the features φ(z) = max(z `omega`, 0) inside each segment and head:
/// φ(qᵢ) (Σⱼ φ(kⱼ) vⱼᵀ) / d(φ(qᵢ) · Σⱼ φ(kⱼ)) over all rows j of the segment, with d as `denominator` says.
///
/// `q`, `k` and `v` are `[rows, heads * head_width]` with head h in columns `h * head_width..`, and so is the result;
/// `omega` `[head_width, features]` serves all heads and is taken as constant. Features are computed for a bounded number
/// of rows at a time.
///
/// # Errors
/// Shapes or devices do not fit, or a head is wider than 128; the device's errors.
pub fn feature_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    omega: &Tensor,
    segments: &Segments,
    heads: usize,
    denominator: Denominator,
) -> Result<Tensor> {
    const OP: &str = "feature_attention";
    let (head_width, features) = omega.matrix(OP, "omega")?;
    let rule = Rule { heads, head_width, features, map: FeatureMap::Relu(Some(denominator)) };
    let strides = [1, features];
    attend(&Operands { op: OP, q, k, v, projection: omega, strides, segments, rule, weights: None })
}
