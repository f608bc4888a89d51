//! CPU twin of ragged fused attention: blocks of queries against tiles of keys that stay in the second-level cache,
//! with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022), so the score matrix never exists as a whole.
//!
//! The blocks of a segment depend on its length alone, so its result does not depend on the rest of the batch.

use super::gemm::{self, View};
use super::simd::{max, sum, vectorized};
use super::{Cpu, math};
use crate::segments::Segments;

/// Query rows of one task.
const QUERIES: usize = 96;
/// Keys of one tile. At most the longest chain of a product (see `matmul`).
const KEYS: usize = 512;
/// Keys are transposed in panels of this many, which the matrix product reads in place; the last is padded.
const PANEL: usize = 64;
/// Distance of the rows of scores: not a power of two, which would put all rows into the same lines of the cache.
const STRIDE: usize = KEYS + 16;

/// Operands of an attention: `[rows, width]` each, head h in columns `h * width / heads..`.
pub(crate) struct Attention<'a> {
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) causal: bool,
}

/// The queries of one task and where their results go.
struct Block<'a> {
    /// First row of the segment in the batch, and its length.
    start: usize,
    length: usize,
    /// First query of the block inside the segment.
    first: usize,
    out: &'a mut [f32],
    /// Transposed keys of the segment.
    keys: &'a [f32],
}

impl Attention<'_> {
    fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Computes `out = softmax(q kᵀ / √head_width) v` inside each segment.
    pub(crate) fn run(&self, cpu: &Cpu, segments: &Segments, out: &mut [f32]) {
        let padded: usize = segments.ranges().map(|range| range.len().next_multiple_of(PANEL)).sum();
        let mut keys = cpu.buffer(padded * self.width);
        self.transpose_keys(cpu, segments, keys.values_mut());
        let mut blocks = Vec::new();
        let (mut work, mut out, mut keys) = (0, out, keys.values());
        for range in segments.ranges() {
            let (segment_keys, rest) = keys.split_at(range.len().next_multiple_of(PANEL) * self.width);
            keys = rest;
            work += 2 * range.len() * range.len() * self.width;
            for first in (0..range.len()).step_by(QUERIES) {
                let rows = QUERIES.min(range.len() - first);
                let (block, rest) = out.split_at_mut(rows * self.width);
                out = rest;
                blocks.push(Block {
                    start: range.start,
                    length: range.len(),
                    first,
                    out: block,
                    keys: segment_keys,
                });
            }
        }
        cpu.each(blocks, work, |block| {
            let mut scores = cpu.buffer(QUERIES * STRIDE);
            let mut block = block;
            for head in 0..self.heads {
                self.head(head, &mut block, scores.values_mut());
            }
        });
    }

    /// For each segment and head, panels of [`PANEL`] keys, each `[head_width, PANEL]`, padded with zeros.
    fn transpose_keys(&self, cpu: &Cpu, segments: &Segments, mut target: &mut [f32]) {
        let (width, head_width) = (self.width, self.head_width());
        let mut items = Vec::new();
        for range in segments.ranges() {
            for head in 0..self.heads {
                let (part, rest) = target.split_at_mut(range.len().next_multiple_of(PANEL) * head_width);
                target = rest;
                items.push((range.start * width + head * head_width, range.len(), part));
            }
        }
        cpu.each(items, self.k.len(), |(origin, length, part)| {
            for (panel, first) in part.chunks_exact_mut(PANEL * head_width).zip((0..length).step_by(PANEL)) {
                let present = PANEL.min(length - first);
                if present < PANEL {
                    panel.fill(0.0);
                }
                for i in 0..present {
                    let key = &self.k[origin + (first + i) * width..][..head_width];
                    for (to, value) in panel.chunks_exact_mut(PANEL).zip(key) {
                        to[i] = *value;
                    }
                }
            }
        });
    }

    /// One head of one block of queries.
    fn head(&self, head: usize, block: &mut Block<'_>, scores: &mut [f32]) {
        let (width, head_width) = (self.width, self.head_width());
        let rows = block.out.len() / width;
        let scale = 1.0 / (head_width as f32).sqrt();
        let column = head * head_width;
        let q = &self.q[(block.start + block.first) * width + column..];
        let mut panels = &block.keys[head * head_width * block.length.next_multiple_of(PANEL)..];
        let mut largest = [f32::NEG_INFINITY; QUERIES];
        let mut total = [0.0f32; QUERIES];
        let out = &mut block.out[column..];
        for first_key in (0..block.length).step_by(KEYS) {
            if self.causal && first_key >= block.first + rows {
                break;
            }
            let count = KEYS.min(block.length - first_key);
            let queries = View { data: q, row_stride: width, column_stride: 1 };
            for first in (0..count).step_by(PANEL) {
                let panel = View { data: panels, row_stride: PANEL, column_stride: 1 };
                gemm::multiply(
                    [rows, PANEL, head_width],
                    queries,
                    panel,
                    &mut scores[first..],
                    STRIDE,
                    false,
                );
                panels = &panels[PANEL * head_width..];
            }
            vectorized(
                #[inline(always)]
                || {
                    for i in 0..rows {
                        let row = &mut scores[i * STRIDE..][..count];
                        let seen = if self.causal {
                            (block.first + i + 1).saturating_sub(first_key).min(count)
                        } else {
                            count
                        };
                        let (row, hidden) = row.split_at_mut(seen);
                        hidden.fill(0.0);
                        if row.is_empty() {
                            continue;
                        }
                        let before = largest[i];
                        let highest = max(row);
                        let now = if highest > before { highest } else { before };
                        let shift = -now * scale;
                        for score in row.iter_mut() {
                            *score = math::exp(score.mul_add(scale, shift));
                        }
                        if first_key > 0 && now != before {
                            let correction = math::exp(before.mul_add(scale, shift));
                            total[i] *= correction;
                            for value in &mut out[i * width..][..head_width] {
                                *value *= correction;
                            }
                        }
                        total[i] += sum(row);
                        largest[i] = now;
                    }
                },
            );
            let values = View {
                data: &self.v[(block.start + first_key) * width + column..],
                row_stride: width,
                column_stride: 1,
            };
            let weights = View { data: scores, row_stride: STRIDE, column_stride: 1 };
            gemm::multiply([rows, head_width, count], weights, values, out, width, first_key > 0);
        }
        vectorized(
            #[inline(always)]
            || {
                for (i, total) in total[..rows].iter().enumerate() {
                    let scale = 1.0 / total;
                    for value in &mut out[i * width..][..head_width] {
                        *value *= scale;
                    }
                }
            },
        );
    }
}
