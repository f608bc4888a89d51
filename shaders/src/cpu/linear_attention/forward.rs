//! The forward pass: what the keys of each segment and head add up to, then the results of the queries.
//!
//! The sums are taken against the largest key projection of each block of rows and rescaled when blocks are joined, as
//! in an online softmax (Milakov and Gimelshein 2018), so keys are projected once; the constant that is added to every
//! feature enters at the end, times the sum of the values.

use std::ops::Range;

use super::blocks::{BLOCK, Block, blocks, rows_of, sum_blocks};
use super::features::Rows;
use super::projection::Projection;
use crate::cpu::gemm::{self, View};
use crate::cpu::simd::{dot, vectorized};
use crate::cpu::{Cpu, CpuBuffer, math};
use crate::ops::Rule;
use crate::segments::Segments;

/// Operands: `[rows, heads * head_width]` each.
pub(crate) struct LinearAttention<'a> {
    pub(crate) rule: Rule,
    pub(crate) projection: &'a Projection,
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
    /// What each key counts for in the denominators; one if none.
    pub(crate) weights: Option<&'a [f32]>,
}

/// What the keys of each segment and head add up to.
pub(crate) struct Keys {
    /// A [`State`] for each segment and head. Kept for the backward pass, so it is on the books.
    pub(crate) states: CpuBuffer,
    /// Largest key projection that each segment is taken against, and how often it occurs.
    pub(super) maxima: Vec<(f32, f32)>,
}

/// Sums of one segment and head, as parts of a slice.
pub(super) struct State<T> {
    /// Σ φ(k) vᵀ `[features, head_width]`.
    pub(super) matrix: T,
    /// Σ φ(k) `[features]`.
    pub(super) sums: T,
    /// Σ v `[head_width]`.
    pub(super) values: T,
    /// The maximum that the exponentials were taken against, and how often it occurs.
    pub(super) maximum: T,
}

impl LinearAttention<'_> {
    pub(super) fn state_len(&self) -> usize {
        (self.rule.features + 1) * (self.rule.head_width + 1) + 1
    }

    pub(super) fn state<'a>(&self, state: &'a [f32]) -> State<&'a [f32]> {
        let Rule { features, head_width, .. } = self.rule;
        let (matrix, rest) = state.split_at(features * head_width);
        let (sums, rest) = rest.split_at(features);
        let (values, maximum) = rest.split_at(head_width);
        State { matrix, sums, values, maximum }
    }

    fn state_mut<'a>(&self, state: &'a mut [f32]) -> State<&'a mut [f32]> {
        let Rule { features, head_width, .. } = self.rule;
        let (matrix, rest) = state.split_at_mut(features * head_width);
        let (sums, rest) = rest.split_at_mut(features);
        let (values, maximum) = rest.split_at_mut(head_width);
        State { matrix, sums, values, maximum }
    }

    /// Multiply-adds of one product of a row.
    pub(super) fn row_work(&self) -> usize {
        self.rule.features * self.rule.width()
    }

    /// What a key counts for in the denominators.
    #[inline(always)]
    pub(super) fn weight(&self, row: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// What all keys of each segment count for.
    pub(super) fn lengths(&self, segments: &Segments) -> Vec<f32> {
        let total = |range: Range<usize>| match self.weights {
            Some(weights) => weights[range].iter().map(|&weight| f64::from(weight)).sum::<f64>() as f32,
            None => range.len() as f32,
        };
        segments.ranges().map(total).collect()
    }

    /// Rows of one head of `z` from row `first` on.
    pub(super) fn rows<'a>(&self, z: &'a [f32], first: usize, count: usize, head: usize) -> Rows<'a> {
        let Rule { features, head_width, .. } = self.rule;
        let width = self.rule.width();
        Rows {
            z: &z[first * width + head * head_width..],
            width,
            head_width,
            count,
            features,
            stride: self.projection.stride(),
            square_scale: self.rule.square_scale(),
        }
    }

    /// Sums over the keys.
    pub(crate) fn keys(&self, cpu: &Cpu, segments: &Segments) -> Keys {
        let len = self.state_len();
        let heads = self.rule.heads;
        let mut states = cpu.result(segments.len() * heads * len);
        if !states.has_memory() {
            return Keys { states, maxima: Vec::new() };
        }
        if segments.ranges().any(|range| range.is_empty()) {
            for state in states.values_mut().chunks_exact_mut(len) {
                state.fill(0.0);
                state[len - 2] = f32::NEG_INFINITY;
            }
        }
        let items = blocks(segments).into_iter().map(|block| (block, ())).collect();
        sum_blocks(
            cpu,
            items,
            [heads, len],
            2 * self.row_work(),
            states.values_mut(),
            |block, (), target| self.key_block(cpu, block, target),
            |total, part| self.join(total, part),
        );
        let maxima = self.maxima(segments, states.values());
        if self.rule.is_exponential() {
            let items: Vec<_> = states.values_mut().chunks_exact_mut(len).enumerate().collect();
            let work = items.len() * len;
            cpu.each(items, work, |(at, state)| self.finish(state, maxima[at / heads].0));
        }
        Keys { states, maxima }
    }

    /// The sums of one block for every head.
    fn key_block(&self, cpu: &Cpu, block: &Block, target: &mut [f32]) {
        let Rule { features, head_width, .. } = self.rule;
        let (width, stride, count) = (self.rule.width(), self.projection.stride(), block.rows.len());
        let mut scratch = cpu.buffer(BLOCK * stride);
        let scratch = scratch.values_mut();
        for (head, state) in target.chunks_exact_mut(self.state_len()).enumerate() {
            let rows = self.rows(self.k, block.rows.start, count, head);
            self.projection.forward(rows.z, width, count, scratch);
            let values = &self.v[block.rows.start * width + head * head_width..];
            let state = self.state_mut(state);
            vectorized(
                #[inline(always)]
                || {
                    if self.rule.is_exponential() {
                        let (largest, ties) = rows.maximum(scratch);
                        state.maximum.copy_from_slice(&[largest, ties]);
                        rows.exponentials(scratch, Some(largest));
                    } else {
                        state.maximum.copy_from_slice(&[0.0, 1.0]);
                        rows.relu(scratch);
                    }
                    state.sums.fill(0.0);
                    state.values.fill(0.0);
                    for row in 0..count {
                        add(
                            state.sums,
                            &scratch[row * stride..][..features],
                            self.weight(block.rows.start + row),
                        );
                        add(state.values, &values[row * width..][..head_width], 1.0);
                    }
                },
            );
            let transposed = View { data: scratch, row_stride: 1, column_stride: stride };
            let values = View { data: values, row_stride: width, column_stride: 1 };
            gemm::multiply(
                [features, head_width, count],
                transposed,
                values,
                state.matrix,
                head_width,
                false,
            );
        }
    }

    /// Adds the sums of a later block, both against the larger of their maxima.
    fn join(&self, total: &mut [f32], part: &[f32]) {
        let (total, part) = (self.state_mut(total), self.state(part));
        let (before, added) = (total.maximum[0], part.maximum[0]);
        let largest = if added > before { added } else { before };
        let ties = |state: &[f32]| if state[0] == largest { state[1] } else { 0.0 };
        let count = ties(total.maximum) + ties(part.maximum);
        total.maximum.copy_from_slice(&[largest, count]);
        vectorized(
            #[inline(always)]
            || {
                let (old, new) = (factor(before, largest), factor(added, largest));
                if old != 1.0 {
                    scale(total.matrix, old);
                    scale(total.sums, old);
                }
                add(total.matrix, part.matrix, new);
                add(total.sums, part.sums, new);
                add(total.values, part.values, 1.0);
            },
        );
    }

    /// The maximum for each segment, over its heads or over everything.
    fn maxima(&self, segments: &Segments, states: &[f32]) -> Vec<(f32, f32)> {
        let len = self.state_len();
        let over = |states: &[f32]| {
            states.chunks_exact(len).fold((f32::NEG_INFINITY, 0.0), |(largest, ties), state| {
                let (value, count) = (state[len - 2], state[len - 1]);
                if value > largest {
                    (value, count)
                } else {
                    (largest, ties + if value == largest { count } else { 0.0 })
                }
            })
        };
        if self.rule.whole_batch() {
            vec![over(states); segments.len()]
        } else {
            states.chunks_exact(self.rule.heads * len).map(over).collect()
        }
    }

    /// Rescales a state to the maximum of its segment and adds the constant part of the features.
    fn finish(&self, state: &mut [f32], maximum: f32) {
        let (shift, state) = (self.rule.shift(), self.state_mut(state));
        let before = state.maximum[0];
        if before == f32::NEG_INFINITY && !state.matrix.iter().any(|value| value.is_nan()) {
            // A segment without rows.
            return;
        }
        vectorized(
            #[inline(always)]
            || {
                let factor = factor(before, maximum);
                for row in state.matrix.chunks_exact_mut(state.values.len()) {
                    for (value, sum) in row.iter_mut().zip(state.values.iter()) {
                        *value = shift.mul_add(*sum, *value * factor);
                    }
                }
            },
        );
    }

    /// The results.
    pub(crate) fn queries(&self, cpu: &Cpu, segments: &Segments, keys: &Keys, out: &mut [f32]) {
        let (blocks, width) = (blocks(segments), self.rule.width());
        let rows = rows_of(&blocks, out, width);
        let work = segments.rows() * 2 * self.row_work();
        let lengths = self.lengths(segments);
        let items: Vec<_> = blocks.into_iter().zip(rows).collect();
        cpu.each(items, work, |(block, out)| {
            self.query_block(cpu, &block, lengths[block.segment], keys, out);
        });
    }

    /// The sum of the features of all keys, with their constant part.
    pub(super) fn feature_sums(&self, state: &State<&[f32]>, maximum: f32, length: f32, out: &mut [f32]) {
        let shift = self.rule.shift() * length;
        let factor = if self.rule.is_exponential() { factor(state.maximum[0], maximum) } else { 1.0 };
        for (out, sum) in out.iter_mut().zip(state.sums) {
            *out = sum.mul_add(factor, shift);
        }
    }

    fn query_block(&self, cpu: &Cpu, block: &Block, length: f32, keys: &Keys, out: &mut [f32]) {
        let Rule { heads, features, head_width, .. } = self.rule;
        let (width, stride, count) = (self.rule.width(), self.projection.stride(), block.rows.len());
        let mut scratch = cpu.buffer(BLOCK * stride + features);
        let (scratch, sums) = scratch.values_mut().split_at_mut(BLOCK * stride);
        let mut scales = [0.0; BLOCK];
        let states = keys.states.values().chunks_exact(self.state_len());
        for (head, state) in states.skip(block.segment * heads).take(heads).enumerate() {
            let rows = self.rows(self.q, block.rows.start, count, head);
            self.projection.forward(rows.z, width, count, scratch);
            let state = self.state(state);
            let out = &mut out[head * head_width..];
            vectorized(
                #[inline(always)]
                || {
                    self.feature_sums(&state, keys.maxima[block.segment].0, length, sums);
                    if self.rule.is_exponential() {
                        rows.exponentials(scratch, None);
                        rows.shift(scratch, self.rule.shift());
                    } else {
                        rows.relu(scratch);
                    }
                    for (row, scale) in scales[..count].iter_mut().enumerate() {
                        *scale = 1.0 / self.rule.denominator(dot(&scratch[row * stride..][..features], sums));
                    }
                },
            );
            let left = View { data: scratch, row_stride: stride, column_stride: 1 };
            let matrix = View { data: state.matrix, row_stride: head_width, column_stride: 1 };
            gemm::multiply([count, head_width, features], left, matrix, out, width, false);
            vectorized(
                #[inline(always)]
                || {
                    for (row, factor) in scales[..count].iter().enumerate() {
                        scale(&mut out[row * width..][..head_width], *factor);
                    }
                },
            );
        }
    }
}

/// e^(from - to), and 1 where both are the same infinity.
#[inline(always)]
fn factor(from: f32, to: f32) -> f32 {
    if from == to { 1.0 } else { math::exp(from - to) }
}

#[inline(always)]
pub(super) fn add(total: &mut [f32], values: &[f32], factor: f32) {
    for (total, value) in total.iter_mut().zip(values) {
        *total = value.mul_add(factor, *total);
    }
}

#[inline(always)]
fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}
