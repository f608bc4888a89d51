//! Flow attention (CellPLM): a linear attention whose queries and keys exchange conserved flows.

use super::curve::{clamped_exponential, reciprocal};
use super::kernelised::{Operands, attend};
use super::rule::{FeatureMap, Rule};
use crate::error::Result;
use crate::ops::heads::expect_heads;
use crate::ops::{Activation, Csr, activate, add_row, csr_matmul, embed, mul, mul_column, row_dot};
use crate::segments::{Ids, Segments};
use crate::tensor::Tensor;

/// Added to every component of the vectors whose products are flows.
const EPS: f32 = 1e-6;

/// Flow attention (Wu et al. 2022, "Flowformer", without a causal mask) inside each segment and head, as CellPLM uses it.
/// With u = σ(q), w = σ(k), ε = 1e-6 added to every component:
/// aᵢ = 1 / ((uᵢ + ε) · (Σⱼ wⱼ + ε)), bⱼ = 1 / ((wⱼ + ε) · (Σᵢ uᵢ + ε)),
/// cᵢ = (uᵢ + ε) · (Σⱼ bⱼ wⱼ + ε), sⱼ = (wⱼ + ε) · (Σᵢ aᵢ uᵢ + ε) clamped to -1 to 1, and
/// yᵢ = σ(cᵢ) aᵢ uᵢ [Σⱼ wⱼ (n softmaxⱼ(s) vⱼ)ᵀ] over the n rows of the segment.
///
/// `q`, `k` and `v` are `[rows, heads * head_width]` with head h in columns `h * head_width..`, and so is the result.
/// Gradients flow through everything.
///
/// # Errors
/// Shapes or devices do not fit, or a head is wider than 128; the device's errors.
pub fn flow_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    heads: usize,
) -> Result<Tensor> {
    const OP: &str = "flow_attention";
    let head_width = expect_heads(OP, q, heads)?;
    let rule = Rule { heads, head_width, features: head_width, map: FeatureMap::Relu(None) };
    let device = q.device();
    // Sigmoids are positive, so the identity with a rectifier leaves them as they are.
    let mut identity = vec![0.0; head_width * head_width];
    identity.iter_mut().step_by(head_width + 1).for_each(|value| *value = 1.0);
    let projection = device.upload(&[head_width, head_width], &identity)?;
    let operands = Operands {
        op: OP,
        q,
        k,
        v,
        projection: &projection,
        strides: [head_width, 1],
        segments,
        rule,
        weights: None,
    };
    operands.check()?;
    let flow = Flow::new(segments, rule)?;
    let (u, w) = (activate(q, Activation::Sigmoid)?, activate(k, Activation::Sigmoid)?);
    let (u_eps, w_eps) = (add_row(&u, &flow.eps)?, add_row(&w, &flow.eps)?);
    let outgoing = reciprocal(&flow.dots(&u_eps, &flow.sum(&w)?)?)?;
    let incoming = reciprocal(&flow.dots(&w_eps, &flow.sum(&u)?)?)?;
    let conserved = flow.dots(&u_eps, &flow.sum(&flow.weigh(&w, &incoming)?)?)?;
    let scores = flow.dots(&w_eps, &flow.sum(&flow.weigh(&u, &outgoing)?)?)?;
    let competition = flow.competition(&scores)?;
    let values = flow.weigh(v, &competition)?;
    let mixed = attend(&Operands { q: &u, k: &w, v: &values, ..operands })?;
    let allocation = mul(&activate(&conserved, Activation::Sigmoid)?, &outgoing)?;
    flow.weigh(&mixed, &allocation)
}

/// Sums over the rows of segments, and products of rows with them, head by head.
struct Flow {
    rule: Rule,
    rows: usize,
    /// One row for each segment, with a non-zero for each of its rows; and as many ones.
    members: Csr,
    ones: Tensor,
    /// Segment of each row.
    owners: Ids,
    /// 1 / rows of each segment.
    shares: Tensor,
    eps: Tensor,
}

impl Flow {
    fn new(segments: &Segments, rule: Rule) -> Result<Flow> {
        let (device, rows) = (segments.device(), segments.rows());
        let owners: Vec<u32> = segments
            .ranges()
            .enumerate()
            .flat_map(|(segment, range)| std::iter::repeat_n(segment as u32, range.len()))
            .collect();
        let shares: Vec<f32> = segments.ranges().map(|range| 1.0 / range.len().max(1) as f32).collect();
        Ok(Flow {
            rule,
            rows,
            members: Csr::of_segments(segments)?,
            ones: device.upload(&[rows], &vec![1.0; rows])?,
            owners: Ids::new(device, &owners)?,
            shares: device.upload(&[segments.len()], &shares)?,
            eps: device.upload(&[rule.width()], &vec![EPS; rule.width()])?,
        })
    }

    /// The sum of the rows of each segment.
    fn sum(&self, x: &Tensor) -> Result<Tensor> {
        csr_matmul(&self.ones, &self.members, x)
    }

    /// One row for each row and head.
    fn by_head(&self, x: &Tensor) -> Result<Tensor> {
        x.reshape(&[self.rows * self.rule.heads, self.rule.head_width])
    }

    /// For each row and head, the dot product with what `totals` (plus eps) holds for its segment.
    fn dots(&self, x: &Tensor, totals: &Tensor) -> Result<Tensor> {
        let totals = embed(&add_row(totals, &self.eps)?, &self.owners)?;
        row_dot(&self.by_head(x)?, &self.by_head(&totals)?)
    }

    /// Every head of every row times its weight.
    fn weigh(&self, x: &Tensor, weights: &Tensor) -> Result<Tensor> {
        mul_column(&self.by_head(x)?, weights)?.reshape(&[self.rows, self.rule.width()])
    }

    /// The softmax over the rows of each segment, times their number.
    fn competition(&self, scores: &Tensor) -> Result<Tensor> {
        let powers = clamped_exponential(scores)?.reshape(&[self.rows, self.rule.heads])?;
        let means = mul_column(&self.sum(&powers)?, &self.shares)?;
        let factors = embed(&reciprocal(&means)?, &self.owners)?;
        mul(&powers, &factors)?.reshape(&[self.rows * self.rule.heads])
    }
}
