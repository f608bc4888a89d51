//! What distinguishes one attention by feature maps from another: sizes, the map from vectors to features, and how the
//! result is normalised.

use super::{Denominator, KeyMaximum};

/// Rows of a segment whose keys are summed in order before the sums are joined: part of the definition of every result.
pub(crate) const BLOCK_ROWS: usize = 256;

/// An attention φ(q) (Σ φ(k) vᵀ) / (φ(q) · Σ φ(k)) of heads that share one projection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    pub(crate) heads: usize,
    pub(crate) head_width: usize,
    /// Features of a head.
    pub(crate) features: usize,
    pub(crate) map: FeatureMap,
}

/// From the projection a = scale · projection · z of a vector z to its features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FeatureMap {
    /// exp(a - scale² |z|² / 2 - maximum) + eps. The constant factor of the paper cancels in the normalisation.
    Exponential { eps: f32, maximum: KeyMaximum },
    /// max(a, 0). Without a denominator the result is φ(q) (Σ φ(k) vᵀ) itself.
    Relu(Option<Denominator>),
}

impl Rule {
    /// Columns of all heads together.
    pub(crate) fn width(&self) -> usize {
        self.heads * self.head_width
    }

    pub(crate) fn is_exponential(&self) -> bool {
        matches!(self.map, FeatureMap::Exponential { .. })
    }

    /// Factor of the projection.
    pub(crate) fn scale(&self) -> f32 {
        if self.is_exponential() { (self.head_width as f32).sqrt().sqrt().recip() } else { 1.0 }
    }

    /// Factor of |z|² / 2 in the exponent.
    pub(crate) fn square_scale(&self) -> f32 {
        if self.is_exponential() { (self.head_width as f32).sqrt().recip() } else { 0.0 }
    }

    /// What is added to every feature after the exponential.
    pub(crate) fn shift(&self) -> f32 {
        if let FeatureMap::Exponential { eps, .. } = self.map { eps } else { 0.0 }
    }

    /// Whether one largest key projection serves all segments.
    pub(crate) fn whole_batch(&self) -> bool {
        matches!(self.map, FeatureMap::Exponential { maximum: KeyMaximum::WholeBatch, .. })
    }

    /// The denominator that a sum is divided by.
    #[inline(always)]
    pub(crate) fn denominator(&self, sum: f32) -> f32 {
        let FeatureMap::Relu(denominator) = self.map else { return sum };
        match denominator {
            Some(Denominator::AtLeast(least)) if sum < least => least,
            Some(Denominator::AtLeast(_)) => sum,
            Some(Denominator::Plus(added)) => sum + added,
            None => 1.0,
        }
    }

    /// Derivative of [`Rule::denominator`].
    #[inline(always)]
    pub(crate) fn denominator_slope(&self, sum: f32) -> f32 {
        match self.map {
            FeatureMap::Relu(Some(Denominator::AtLeast(least))) if sum < least => 0.0,
            FeatureMap::Relu(None) => 0.0,
            _ => 1.0,
        }
    }
}
