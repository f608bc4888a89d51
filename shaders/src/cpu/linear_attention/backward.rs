//! The backward pass. Features are computed again, block by block.
//!
//! With N = φ(q) S and D = φ(q) · s, the result N / D has the gradients G = dy / D at N and -(dy · y) / D at D, from which
//! those of S, s, φ(q), and then φ(k) and v follow as products. The largest key projection M scales every S and s alike,
//! which cancels in N / D; what is left of its gradient comes from the constant that is added to the features:
//! eps times the sum of dS ⊙ (1 Σ vᵀ) and of ds ⊙ n. It is spread over the projections that equal M.

use super::blocks::{BLOCK, Block, blocks, rows_of, sum_blocks};
use super::forward::{Keys, LinearAttention, add};
use crate::cpu::gemm::{self, View};
use crate::cpu::simd::{dot, sum, vectorized};
use crate::cpu::{Cpu, CpuBuffer};
use crate::ops::Rule;
use crate::segments::Segments;

/// The result of the forward pass and the gradient at it.
#[derive(Clone, Copy)]
pub(crate) struct Outcome<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) gradient: &'a [f32],
}

/// Scratch of a block: features without their constant part, gradients at features, and small vectors.
struct Scratch<'a> {
    features: &'a mut [f32],
    slopes: &'a mut [f32],
    sums: &'a mut [f32],
    columns: &'a mut [f32],
    /// Gradients at the numerators of a block.
    numerators: &'a mut [f32],
}

impl LinearAttention<'_> {
    /// Gradients at the queries, keys and values, those that are wanted.
    pub(crate) fn gradients(
        &self,
        cpu: &Cpu,
        segments: &Segments,
        keys: &Keys,
        result: Outcome<'_>,
        [dq, dk, dv]: [bool; 3],
    ) -> [Option<CpuBuffer>; 3] {
        let Rule { heads, features, head_width, .. } = self.rule;
        let (blocks, width) = (blocks(segments), self.rule.width());
        let take = |wanted: bool| wanted.then(|| cpu.result(segments.rows() * width));
        let (mut at_q, mut at_k, mut at_v) = (take(dq), take(dk), take(dv));
        let results = [&at_q, &at_k, &at_v];
        if !keys.states.has_memory()
            || results.iter().any(|at| at.as_ref().is_some_and(|at| !at.has_memory()))
        {
            return [at_q, at_k, at_v];
        }
        let lengths = self.lengths(segments);
        let len = features * (head_width + 1);
        let mut slopes = cpu.buffer(segments.len() * heads * len);
        slopes.values_mut().fill(0.0);
        let items = blocks.iter().cloned().zip(parts(&blocks, &mut at_q, width)).collect();
        sum_blocks(
            cpu,
            items,
            [heads, len],
            4 * self.row_work(),
            slopes.values_mut(),
            |block, at_q, target| {
                let length = lengths[block.segment];
                self.query_gradients(cpu, block, length, keys, result, at_q, target);
            },
            |total, part| {
                vectorized(
                    #[inline(always)]
                    || add(total, part, 1.0),
                );
            },
        );
        if dk || dv {
            let maxima = self.maximum_gradients(segments, keys, slopes.values());
            let items: Vec<_> = blocks
                .iter()
                .zip(parts(&blocks, &mut at_k, width))
                .zip(parts(&blocks, &mut at_v, width))
                .collect();
            let work = segments.rows() * 4 * self.row_work();
            cpu.each(items, work, |((block, at_k), at_v)| {
                let slopes = &slopes.values()[block.segment * heads * len..][..heads * len];
                self.key_gradients(cpu, block, keys, maxima[block.segment], slopes, at_k, at_v);
            });
        }
        [at_q, at_k, at_v]
    }

    fn scratch<'a>(&self, memory: &'a mut CpuBuffer) -> Scratch<'a> {
        let Rule { features, head_width, .. } = self.rule;
        let size = BLOCK * self.projection.stride();
        let (first, rest) = memory.values_mut().split_at_mut(size);
        let (second, rest) = rest.split_at_mut(size);
        let (sums, rest) = rest.split_at_mut(features);
        let (columns, numerators) = rest.split_at_mut(head_width);
        Scratch { features: first, slopes: second, sums, columns, numerators }
    }

    fn scratch_len(&self) -> usize {
        let Rule { features, head_width, .. } = self.rule;
        2 * BLOCK * self.projection.stride() + features + (BLOCK + 1) * head_width
    }

    /// Of one block of queries: their gradients, and its part of the gradients at the sums over the keys.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call; a block, what belongs to it, and where results go"
    )]
    fn query_gradients(
        &self,
        cpu: &Cpu,
        block: &Block,
        length: f32,
        keys: &Keys,
        result: Outcome<'_>,
        mut at_q: Option<&mut [f32]>,
        target: &mut [f32],
    ) {
        let Rule { heads, features, head_width, .. } = self.rule;
        let (width, stride, count) = (self.rule.width(), self.projection.stride(), block.rows.len());
        let mut memory = cpu.buffer(self.scratch_len());
        let scratch = self.scratch(&mut memory);
        let (mut denominators, mut squares, mut maxima) = ([0.0; BLOCK], [0.0; BLOCK], [(0.0, 0.0); BLOCK]);
        let states = keys.states.values().chunks_exact(self.state_len());
        let states = states.skip(block.segment * heads).take(heads);
        let (len, shift) = (features * (head_width + 1), self.rule.shift());
        for (head, (state, target)) in states.zip(target.chunks_exact_mut(len)).enumerate() {
            let rows = self.rows(self.q, block.rows.start, count, head);
            self.projection.forward(rows.z, width, count, scratch.features);
            let state = self.state(state);
            let (matrix, sums) = target.split_at_mut(features * head_width);
            let origin = block.rows.start * width + head * head_width;
            vectorized(
                #[inline(always)]
                || {
                    self.feature_sums(&state, keys.maxima[block.segment].0, length, scratch.sums);
                    if self.rule.is_exponential() {
                        rows.exponentials(scratch.features, None);
                        rows.maxima(scratch.features, &mut maxima);
                    } else {
                        rows.relu(scratch.features);
                    }
                    sums.fill(0.0);
                    scratch.columns.fill(0.0);
                    let constant = shift * sum(scratch.sums);
                    for (row, slope) in denominators[..count].iter_mut().enumerate() {
                        let values = &scratch.features[row * stride..][..features];
                        let total = dot(values, scratch.sums) + constant;
                        let scale = 1.0 / self.rule.denominator(total);
                        let at = origin + row * width..origin + row * width + head_width;
                        let (gradient, y) = (&result.gradient[at.clone()], &result.values[at]);
                        *slope = -dot(gradient, y) * scale * self.rule.denominator_slope(total);
                        let numerators = &mut scratch.numerators[row * head_width..][..head_width];
                        for (numerator, gradient) in numerators.iter_mut().zip(gradient) {
                            *numerator = gradient * scale;
                        }
                        add(sums, values, *slope);
                        add(scratch.columns, numerators, shift);
                    }
                    let constant = shift * sum(&denominators[..count]);
                    for sum in sums.iter_mut() {
                        *sum += constant;
                    }
                },
            );
            let numerators = View { data: scratch.numerators, row_stride: head_width, column_stride: 1 };
            let transposed = View { data: scratch.features, row_stride: 1, column_stride: stride };
            gemm::multiply([features, head_width, count], transposed, numerators, matrix, head_width, false);
            vectorized(
                #[inline(always)]
                || {
                    for row in matrix.chunks_exact_mut(head_width) {
                        add(row, scratch.columns, 1.0);
                    }
                },
            );
            let Some(at_q) = at_q.as_deref_mut() else { continue };
            let transposed = View { data: state.matrix, row_stride: 1, column_stride: head_width };
            gemm::multiply(
                [count, features, head_width],
                numerators,
                transposed,
                scratch.slopes,
                stride,
                false,
            );
            vectorized(
                #[inline(always)]
                || {
                    for (row, factor) in denominators[..count].iter().enumerate() {
                        add(&mut scratch.slopes[row * stride..][..features], scratch.sums, *factor);
                    }
                    if self.rule.is_exponential() {
                        rows.query_slopes(scratch.features, scratch.slopes, &mut squares, &maxima);
                    } else {
                        rows.relu_slopes(scratch.features, scratch.slopes);
                    }
                },
            );
            let out = &mut at_q[head * head_width..];
            self.projection.backward(scratch.slopes, count, out, width);
            if self.rule.is_exponential() {
                vectorized(
                    #[inline(always)]
                    || rows.add_square_slopes(&squares, out),
                );
            }
        }
    }

    /// For each segment, the gradient at its largest key projection, divided by how often that occurs.
    fn maximum_gradients(&self, segments: &Segments, keys: &Keys, slopes: &[f32]) -> Vec<f32> {
        let Rule { heads, features, head_width, .. } = self.rule;
        if !self.rule.is_exponential() {
            return vec![0.0; segments.len()];
        }
        let states = keys.states.values().chunks_exact(heads * self.state_len());
        let slopes = slopes.chunks_exact(heads * features * (head_width + 1));
        let mut totals: Vec<f32> = self
            .lengths(segments)
            .into_iter()
            .zip(states.zip(slopes))
            .map(|(length, (states, slopes))| {
                let heads = states.chunks_exact(self.state_len());
                let each = heads.zip(slopes.chunks_exact(features * (head_width + 1)));
                let each = each.map(|(state, slopes)| {
                    let (matrix, sums) = slopes.split_at(features * head_width);
                    let state = self.state(state);
                    vectorized(
                        #[inline(always)]
                        || {
                            let mut total = length * sum(sums);
                            for row in matrix.chunks_exact(head_width) {
                                total += dot(row, state.values);
                            }
                            total
                        },
                    )
                });
                self.rule.shift() * each.sum::<f32>()
            })
            .collect();
        if self.rule.whole_batch() {
            let total = totals.iter().sum();
            totals.fill(total);
        }
        totals.iter().zip(&keys.maxima).map(|(total, (_, ties))| total / ties).collect()
    }

    /// Gradients of one block of keys and values.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call; a block, what belongs to it, and where results go"
    )]
    fn key_gradients(
        &self,
        cpu: &Cpu,
        block: &Block,
        keys: &Keys,
        at_maximum: f32,
        slopes: &[f32],
        mut at_k: Option<&mut [f32]>,
        mut at_v: Option<&mut [f32]>,
    ) {
        let Rule { features, head_width, .. } = self.rule;
        let (width, stride, count) = (self.rule.width(), self.projection.stride(), block.rows.len());
        let maximum = keys.maxima[block.segment].0;
        let mut memory = cpu.buffer(self.scratch_len());
        let scratch = self.scratch(&mut memory);
        let (mut squares, mut largest) = ([0.0; BLOCK], Vec::new());
        for (head, slopes) in slopes.chunks_exact(features * (head_width + 1)).enumerate() {
            let rows = self.rows(self.k, block.rows.start, count, head);
            self.projection.forward(rows.z, width, count, scratch.features);
            let (matrix, sums) = slopes.split_at(features * head_width);
            let shift = self.rule.shift();
            vectorized(
                #[inline(always)]
                || {
                    if self.rule.is_exponential() {
                        rows.find(scratch.features, maximum, &mut largest);
                        rows.exponentials(scratch.features, Some(maximum));
                    } else {
                        rows.relu(scratch.features);
                    }
                },
            );
            if let Some(at_v) = at_v.as_deref_mut() {
                let left = View { data: scratch.features, row_stride: stride, column_stride: 1 };
                let matrix = View { data: matrix, row_stride: head_width, column_stride: 1 };
                let out = &mut at_v[head * head_width..];
                gemm::multiply([count, head_width, features], left, matrix, out, width, false);
                vectorized(
                    #[inline(always)]
                    || {
                        scratch.columns.fill(0.0);
                        for row in slopes[..features * head_width].chunks_exact(head_width) {
                            add(scratch.columns, row, shift);
                        }
                        for row in 0..count {
                            add(&mut out[row * width..][..head_width], scratch.columns, 1.0);
                        }
                    },
                );
            }
            let Some(at_k) = at_k.as_deref_mut() else { continue };
            let values = &self.v[block.rows.start * width + head * head_width..];
            let values = View { data: values, row_stride: width, column_stride: 1 };
            let transposed = View { data: matrix, row_stride: 1, column_stride: head_width };
            gemm::multiply([count, features, head_width], values, transposed, scratch.slopes, stride, false);
            vectorized(
                #[inline(always)]
                || {
                    for row in 0..count {
                        let weight = self.weight(block.rows.start + row);
                        add(&mut scratch.slopes[row * stride..][..features], sums, weight);
                    }
                    if self.rule.is_exponential() {
                        rows.key_slopes(scratch.features, scratch.slopes, &mut squares);
                    } else {
                        rows.relu_slopes(scratch.features, scratch.slopes);
                    }
                },
            );
            for at in &largest {
                scratch.slopes[*at] += at_maximum;
            }
            let out = &mut at_k[head * head_width..];
            self.projection.backward(scratch.slopes, count, out, width);
            if self.rule.is_exponential() {
                vectorized(
                    #[inline(always)]
                    || rows.add_square_slopes(&squares, out),
                );
            }
        }
    }
}

/// Rows of a result that may not be wanted, for every block.
fn parts<'a>(blocks: &[Block], out: &'a mut Option<CpuBuffer>, width: usize) -> Vec<Option<&'a mut [f32]>> {
    match out {
        Some(out) => rows_of(blocks, out.values_mut(), width).into_iter().map(Some).collect(),
        None => blocks.iter().map(|_| None).collect(),
    }
}
