//! Softmax attention over ragged batches, with grouped queries, and its backward pass.

mod backward;
mod forward;
mod pieces;
mod variant;

pub(crate) use variant::attention_kernels;

use std::ops::Range;

use crate::cpu::attention::Shape;
use crate::error::{Error, Result};
use crate::kernels::Kernel;
use crate::ops::heads::expect_heads;
use crate::segments::Segments;
use crate::tape::record;
use crate::tensor::Tensor;

const OP: &str = "attention";

/// What [`attention_with`] computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of the keys and values; divides `heads`. Query head h reads key head h / (heads / kv_heads) (grouped-query
    /// attention, Ainslie et al. 2023; 1: multi-query attention, Shazeer 2019).
    pub kv_heads: usize,
    /// A row sees itself and the rows of its segment before it, instead of the whole segment.
    pub causal: bool,
    /// Factor of the products of queries and keys; if none, 1 / √head_width.
    pub scale: Option<f32>,
}

impl Attention {
    /// As many heads of keys and values as of queries, and the usual scale.
    pub fn multi_head(heads: usize, causal: bool) -> Attention {
        Attention { heads, kv_heads: heads, causal, scale: None }
    }

    /// Checks the operands.
    fn shape(&self, q: &Tensor, k: &Tensor, v: &Tensor, segments: &Segments) -> Result<Shape> {
        let rows = q.matrix(OP, "q")?.0;
        let Attention { heads, kv_heads, causal, scale } = *self;
        if kv_heads == 0 || heads % kv_heads != 0 {
            let message =
                format!("{heads} heads of queries cannot share {kv_heads} heads of keys and values");
            return Err(Error::shape(OP, message));
        }
        let head_width = expect_heads(OP, q, heads)?;
        for (name, operand) in [("k", k), ("v", v)] {
            if *operand.shape() != [rows, kv_heads * head_width] {
                let message = format!(
                    "`{name}` must have shape {:?}, it has {:?}",
                    [rows, kv_heads * head_width],
                    operand.shape()
                );
                return Err(Error::shape(OP, message));
            }
        }
        q.device().expect_home(OP, &[k, v])?;
        if !q.device().same(segments.device()) {
            return Err(Error::MixedDevices { op: OP });
        }
        if segments.rows() != rows {
            let message = format!("the segments cover {} rows, `q` has {rows}", segments.rows());
            return Err(Error::shape(OP, message));
        }
        let scale = scale.unwrap_or_else(|| 1.0 / (head_width as f32).sqrt());
        Ok(Shape { heads, kv_heads, head_width, causal, scale })
    }
}

/// softmax(q kᵀ / √head_width) v inside each segment and head (Vaswani et al. 2017), without padding and without ever
/// storing the scores. `q`, `k` and `v` are `[rows, heads * head_width]` with head h in columns
/// `h * head_width..`, so is the result. With `causal`, a row sees itself and the rows before it.
///
/// # Errors
/// Shapes or devices do not fit, or a head is wider than 128; the device's errors.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    heads: usize,
    causal: bool,
) -> Result<Tensor> {
    attention_with(q, k, v, segments, &Attention::multi_head(heads, causal))
}

/// [`attention`] with its settings: `q` `[rows, heads * head_width]`, `k` and `v` `[rows, kv_heads * head_width]` give
/// `[rows, heads * head_width]`. Memory grows with the rows, also in the backward pass, which computes the weights again
/// from one saved number a row and head (Dao 2023).
///
/// A row does not depend on values that it must not see, even if they are not numbers.
///
/// # Errors
/// Shapes or devices do not fit, a head is wider than 128, or the heads do not share keys evenly; on a GPU,
/// [`DeviceError::TooLarge`](crate::DeviceError::TooLarge) if a kernel can bind less than 128 rows; the device's errors.
pub fn attention_with(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    segments: &Segments,
    settings: &Attention,
) -> Result<Tensor> {
    let shape = settings.shape(q, k, v, segments)?;
    let traced = [q, k, v].iter().any(|operand| operand.is_traced());
    let (out, lse) = forward::forward(&shape, [q, k, v], segments, traced)?;
    let Some(lse) = lse else { return Ok(out) };
    // The closure needs the result itself, which has no trace yet.
    let kept = backward::Kept {
        shape,
        operands: [q, k, v].map(Tensor::detach),
        out: out.clone(),
        lse,
        segments: segments.clone(),
    };
    Ok(record(out, [q, k, v], |wanted| {
        move |gradient: &Tensor| {
            let mut gradients = kept.backward(gradient)?.map(Some);
            for (gradient, wanted) in gradients.iter_mut().zip(wanted) {
                if !wanted {
                    *gradient = None;
                }
            }
            Ok(gradients)
        }
    }))
}

/// The kernels of attention, in all variants for typical head widths.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = variant::kernels();
    kernels.push(Kernel::new("attention_stats", &[]));
    kernels
}

/// Parameters that all attention kernels have, after the two of every kernel: query i sees the keys up to i + `ahead`;
/// `going` says whether the sums go on from an earlier launch and to a later one; `heads` is which of the query heads that
/// share a key head.
fn parameters(shape: &Shape, ahead: i32, going: [bool; 2], heads: Range<usize>) -> [u32; 11] {
    [
        shape.width() as u32,
        shape.kv_width() as u32,
        shape.heads as u32,
        (shape.heads / shape.kv_heads) as u32,
        (shape.scale * std::f32::consts::LOG2_E).to_bits(),
        shape.scale.to_bits(),
        ahead.cast_unsigned(),
        u32::from(going[0]),
        u32::from(going[1]),
        heads.start as u32,
        heads.len() as u32,
    ]
}
