//! CPU twin of ragged fused attention (Dao et al. 2022): tiles of queries against tiles of keys that stay in the cache,
//! with an online softmax (Milakov and Gimelshein 2018), so the score matrix never exists as a whole. Its backward pass
//! computes the weights again from the saved log-sum-exp.
//!
//! The tiles of a segment depend on its length alone, so its result does not depend on the rest of the batch.

mod backward;
mod forward;
mod pack;
mod product;
mod softmax;
#[cfg(test)]
mod tests;

pub(crate) use backward::{Saved, backward};
pub(crate) use forward::forward;

use pack::Head;

/// What an attention computes: query head h, in columns `h * head_width..`, reads key and value head
/// `h / (heads / kv_heads)`.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_width: usize,
    pub(crate) causal: bool,
    /// Factor of the products of queries and keys.
    pub(crate) scale: f32,
}

impl Shape {
    /// Columns of queries and results.
    pub(crate) fn width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Columns of keys and values.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_width
    }

    /// Query heads that share a key and value head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// A query head of queries, results, or gradients of these.
    fn query_head<'a>(&self, values: &'a [f32], head: usize) -> Head<'a> {
        Head { values, stride: self.width(), column: head * self.head_width, width: self.head_width }
    }

    /// A head of keys, values, or gradients of these.
    fn key_head<'a>(&self, values: &'a [f32], head: usize) -> Head<'a> {
        Head { values, stride: self.kv_width(), column: head * self.head_width, width: self.head_width }
    }
}
