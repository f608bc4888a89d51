//! The backward pass: one task for every segment and key head. The weights are computed again from the log-sum-exp (Dao
//! 2023), tile after tile, and each tile adds to the gradients of its queries, keys and values in one fixed order: key
//! tiles inside query heads, query tiles inside key tiles.

use std::f32::consts::LOG2_E;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Shape;
use super::pack::{SLACK, aligned, cut, interleave, take};
use super::product::{ByRow, ByStep, LANES, PANEL, ROWS, Spans, accumulate, panel};
use super::softmax::differentiate;
use crate::cpu::simd::dot;
use crate::cpu::{Cpu, CpuBuffer};
use crate::segments::Segments;

/// Query rows of one tile.
const QUERIES: usize = 48;
/// Keys of one tile: panels of the scores and groups of rows of the gradients.
const KEYS: usize = 192;
/// Distance of the rows of scores.
const STRIDE: usize = KEYS + LANES;

/// What the forward pass leaves, and the gradient of its result.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
    pub(crate) out: &'a [f32],
    pub(crate) lse: &'a [f32],
    pub(crate) gradient: &'a [f32],
}

/// A segment and a key head; the gradients of its query heads, keys and values one after the other, `[rows, head_width]`
/// each.
struct Task<'a> {
    cpu: &'a Cpu,
    shape: &'a Shape,
    saved: Saved<'a>,
    range: Range<usize>,
    shared: usize,
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
}

/// Writes the gradients of q, k and v.
pub(crate) fn backward(
    cpu: &Cpu,
    shape: &Shape,
    saved: Saved<'_>,
    segments: &Segments,
    gradients: [&mut [f32]; 3],
) {
    // Heads are interleaved in the tensors; tasks write contiguous parts.
    let mut apart = gradients.each_ref().map(|gradient| cpu.buffer(gradient.len()));
    let [mut dq, mut dk, mut dv] = apart.each_mut().map(CpuBuffer::values_mut);
    let (mut tasks, mut work) = (Vec::new(), 0);
    for range in segments.ranges() {
        work += 5 * range.len() * range.len() * shape.width();
        let part = range.len() * shape.head_width;
        for shared in 0..shape.kv_heads {
            let (dq, dk, dv) = (cut(&mut dq, part * shape.group()), cut(&mut dk, part), cut(&mut dv, part));
            tasks.push(Task { cpu, shape, saved, range: range.clone(), shared, dq, dk, dv });
        }
    }
    // Long segments first, so that the last tasks to start are short ones.
    tasks.sort_by_key(|task| std::cmp::Reverse(task.range.len()));
    let arch = pulp::Arch::new();
    cpu.each(tasks, work, |task| arch.dispatch(task));
    for ((gradient, apart), heads) in
        gradients.into_iter().zip(&apart).zip([shape.heads, shape.kv_heads, shape.kv_heads])
    {
        interleave(cpu, segments, heads, shape.head_width, apart.values(), gradient);
    }
}

/// Memory of a task: operands of the segment in the layouts of the products (`_t`: transposed panels, `_g`: groups of
/// rows, others: padded rows), sums, and one tile of scores.
struct Scratch<'a> {
    k_t: &'a mut [f32],
    v_t: &'a mut [f32],
    k: &'a mut [f32],
    q_g: &'a mut [f32],
    q: &'a mut [f32],
    gradient_g: &'a mut [f32],
    gradient: &'a mut [f32],
    lse: &'a mut [f32],
    mean: &'a mut [f32],
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
    scores: &'a mut [f32],
    products: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Task { cpu, shape, saved, range, shared, dq, dk, dv } = self;
        let (start, rows, head_width) = (range.start, range.len(), shape.head_width);
        if rows == 0 {
            return;
        }
        let padded = head_width.next_multiple_of(LANES);
        let (panels, groups) = (rows.next_multiple_of(PANEL), rows.next_multiple_of(ROWS));
        let lengths = [
            panels * head_width,
            panels * head_width,
            rows * padded,
            groups * head_width,
            rows * padded,
            groups * head_width,
            rows * padded,
            groups,
            groups,
            groups * padded,
            groups * padded,
            groups * padded,
            QUERIES * STRIDE,
            QUERIES * STRIDE,
        ];
        let total: usize = lengths.iter().map(|len| len.next_multiple_of(LANES)).sum();
        let mut memory = cpu.buffer(total + SLACK);
        let mut rest = aligned(memory.values_mut());
        let [k_t, v_t, k, q_g, q, gradient_g, gradient, lse, mean, dq_sum, dk_sum, dv_sum, scores, products] =
            lengths.map(|len| take(&mut rest, len));
        let mut scratch = Scratch {
            k_t,
            v_t,
            k,
            q_g,
            q,
            gradient_g,
            gradient,
            lse,
            mean,
            dq: dq_sum,
            dk: dk_sum,
            dv: dv_sum,
            scores,
            products,
        };
        let (k, v) = (shape.key_head(saved.k, shared), shape.key_head(saved.v, shared));
        k.panels(start, rows, scratch.k_t);
        v.panels(start, rows, scratch.v_t);
        k.rows(start, rows, scratch.k);
        scratch.dk.fill(0.0);
        scratch.dv.fill(0.0);
        for (number, dq) in dq.chunks_exact_mut(rows * head_width).enumerate() {
            let head = shared * shape.group() + number;
            let q = shape.query_head(saved.q, head);
            q.groups(start, rows, shape.scale * LOG2_E, scratch.q_g);
            q.rows(start, rows, scratch.q);
            let gradient = shape.query_head(saved.gradient, head);
            gradient.groups(start, rows, 1.0, scratch.gradient_g);
            gradient.rows(start, rows, scratch.gradient);
            let out = shape.query_head(saved.out, head);
            for i in 0..rows {
                scratch.lse[i] = saved.lse[(start + i) * shape.heads + head];
                scratch.mean[i] = dot(gradient.row(start + i), out.row(start + i));
            }
            scratch.lse[rows..].fill(0.0);
            scratch.mean[rows..].fill(0.0);
            scratch.dq.fill(0.0);
            differentiate_head(simd, shape, rows, &mut scratch);
            unpad(scratch.dq, padded, dq, head_width, shape.scale);
        }
        unpad(scratch.dk, padded, dk, head_width, shape.scale);
        unpad(scratch.dv, padded, dv, head_width, 1.0);
    }
}

/// Rows of `padded` columns times `scale` to rows of `width`.
#[inline(always)]
fn unpad(from: &[f32], padded: usize, to: &mut [f32], width: usize, scale: f32) {
    for (from, to) in from.chunks_exact(padded).zip(to.chunks_exact_mut(width)) {
        for (from, to) in from.iter().zip(to) {
            *to = from * scale;
        }
    }
}

/// Adds the part of one query head to the sums.
#[inline(always)]
fn differentiate_head<S: Simd>(simd: S, shape: &Shape, rows: usize, scratch: &mut Scratch<'_>) {
    for first_key in (0..rows).step_by(KEYS) {
        let keys = first_key..rows.min(first_key + KEYS);
        // With a causal mask the queries before the first key see none of the tile.
        let first = if shape.causal { first_key / QUERIES * QUERIES } else { 0 };
        for first_query in (first..rows).step_by(QUERIES) {
            let queries = first_query..rows.min(first_query + QUERIES);
            weights(simd, shape, &keys, &queries, scratch);
            query_gradients(simd, shape, &keys, &queries, scratch);
            key_gradients(simd, shape, &keys, &queries, scratch);
        }
    }
}

/// Keys of the tile that a query sees.
#[inline(always)]
fn seen(shape: &Shape, keys: &Range<usize>, query: usize) -> usize {
    if shape.causal { (query + 1).saturating_sub(keys.start).min(keys.len()) } else { keys.len() }
}

/// The weights of a tile, and the gradients of its scores (`products`).
#[inline(always)]
fn weights<S: Simd>(
    simd: S,
    shape: &Shape,
    keys: &Range<usize>,
    queries: &Range<usize>,
    scratch: &mut Scratch<'_>,
) {
    let width = shape.head_width;
    for (left, right, out) in [
        (&*scratch.q_g, &*scratch.k_t, &mut *scratch.scores),
        (&*scratch.gradient_g, &*scratch.v_t, &mut *scratch.products),
    ] {
        let right = &right[keys.start * width..][..keys.len().next_multiple_of(PANEL) * width];
        for (number, right) in right.chunks_exact(PANEL * width).enumerate() {
            for group in queries.clone().step_by(ROWS) {
                if seen(shape, keys, group + ROWS - 1) > number * PANEL {
                    let left = ByStep { values: &left[group * width..], stride: ROWS };
                    let out = &mut out[(group - queries.start) * STRIDE + number * PANEL..];
                    panel(simd, out, STRIDE, left, right, width, None);
                }
            }
        }
    }
    for query in queries.clone() {
        let count = seen(shape, keys, query).next_multiple_of(LANES);
        let at = (query - queries.start) * STRIDE;
        let (scores, products) = (&mut scratch.scores[at..][..count], &mut scratch.products[at..][..count]);
        differentiate(simd, scores, products, scratch.lse[query], scratch.mean[query]);
    }
}

/// Adds to the gradients of the queries of a tile.
#[inline(always)]
fn query_gradients<S: Simd>(
    simd: S,
    shape: &Shape,
    keys: &Range<usize>,
    queries: &Range<usize>,
    scratch: &mut Scratch<'_>,
) {
    let padded = shape.head_width.next_multiple_of(LANES);
    let right = &scratch.k[keys.start * padded..keys.end * padded];
    for group in queries.clone().step_by(ROWS) {
        let mut to = [0; ROWS];
        for (m, to) in to.iter_mut().enumerate() {
            *to = seen(shape, keys, group + m);
        }
        let values = &scratch.products[(group - queries.start) * STRIDE..];
        let out = &mut scratch.dq[group * padded..][..ROWS * padded];
        let spans = Spans { from: [0; ROWS], to };
        accumulate(simd, out, &[1.0; ROWS], ByRow { values, stride: STRIDE }, right, padded, &spans);
    }
}

/// Adds to the gradients of the keys and values of a tile.
#[inline(always)]
fn key_gradients<S: Simd>(
    simd: S,
    shape: &Shape,
    keys: &Range<usize>,
    queries: &Range<usize>,
    scratch: &mut Scratch<'_>,
) {
    let padded = shape.head_width.next_multiple_of(LANES);
    for group in keys.clone().step_by(ROWS) {
        let mut spans = Spans::all(queries.len());
        if shape.causal {
            for (m, from) in spans.from.iter_mut().enumerate() {
                *from = (group + m).saturating_sub(queries.start).min(queries.len());
            }
        }
        for (left, right, out) in [
            (&*scratch.scores, &*scratch.gradient, &mut *scratch.dv),
            (&*scratch.products, &*scratch.q, &mut *scratch.dk),
        ] {
            let left = ByStep { values: &left[group - keys.start..], stride: STRIDE };
            let right = &right[queries.start * padded..queries.end * padded];
            let out = &mut out[group * padded..][..ROWS * padded];
            accumulate(simd, out, &[1.0; ROWS], left, right, padded, &spans);
        }
    }
}
