//! The attention of Performers with positive random features (scBERT, CellLM, the decoder of scFoundation).

use super::kernelised::{Operands, attend};
use super::rule::{FeatureMap, Rule};
use crate::error::{Error, Result};
use crate::ops::mul_column;
use crate::segments::{Ids, Segments};
use crate::tensor::Tensor;

/// Over which keys the largest projection is taken that keeps the exponentials from overflowing. Because a constant is
/// added after the exponentials, it does not cancel in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMaximum {
    /// The keys and heads of a segment: a segment's result does not depend on the rest of the batch.
    PerSegment,
    /// All keys and heads of the batch, as the published implementations do it: for comparison with them. The gradient that
    /// flows to the largest projection is a difference of sums; of a segment whose keys are far below it, rounding errors
    /// are left, as large as those of the results times the gradient at them.
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
    performer_attention_with(q, k, v, segments, &Performer { projection, heads, settings, copies: None })
}

/// What [`performer_attention_with`] computes with.
#[derive(Debug, Clone, Copy)]
pub struct Performer<'a> {
    /// `[features, head_width]`.
    pub projection: &'a Tensor,
    /// Heads of queries, keys and values.
    pub heads: usize,
    /// Choices of the features.
    pub settings: PerformerSettings,
    /// How many equal rows each row stands for, 1 or more; none: every row for itself.
    pub copies: Option<&'a Ids>,
}

/// [`performer_attention`] in which row j stands for `copies[j]` equal rows of its segment: its key and value enter the
/// sums that often, φ(qᵢ) (Σⱼ copiesⱼ φ(kⱼ) vⱼᵀ) / (φ(qᵢ) · Σⱼ copiesⱼ φ(kⱼ)). The result has one row for all of them.
///
/// Some published models (CellLM) leave the keys of padding in the denominator and zero only its values, so their results
/// depend on the length that cells are padded to. As padding rows are equal in every layer, one row with zero values
/// ([`mask_rows`](crate::ops::mask_rows)) that stands for all of them gives the same result without the work.
///
/// # Errors
/// Those of [`performer_attention`]; not one number a row, or one that is not within 1 to 2²⁴.
pub fn performer_attention_with(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    performer: &Performer<'_>,
) -> Result<Tensor> {
    const OP: &str = "performer_attention";
    let Performer { projection, heads, settings, copies } = *performer;
    let (features, head_width) = projection.matrix(OP, "projection")?;
    let map = FeatureMap::Exponential { eps: settings.eps, maximum: settings.key_maximum };
    let rule = Rule { heads, head_width, features, map };
    let strides = [head_width, 1];
    let operands = Operands { op: OP, q, k, v, projection, strides, segments, rule, weights: None };
    let Some(copies) = copies else { return attend(&operands) };
    operands.check()?;
    copies.expect_home(OP, v)?;
    if copies.len() != segments.rows() {
        let message = format!("{} numbers of copies for {} rows", copies.len(), segments.rows());
        return Err(Error::shape(OP, message));
    }
    if let Some(copies) = copies.values().iter().find(|copies| !(1..=1 << 24).contains(*copies)) {
        return Err(Error::shape(OP, format!("a row cannot stand for {copies} rows")));
    }
    let weights: Vec<f32> = copies.values().iter().map(|&copies| copies as f32).collect();
    let weights = v.device().upload(&[weights.len()], &weights)?;
    attend(&Operands { v: &mul_column(v, &weights)?, weights: Some(&weights), ..operands })
}
