//! The forward pass: one task for every block of queries of a segment, all heads.

use std::f32::consts::LOG2_E;

use pulp::{Simd, WithSimd};

use super::Shape;
use super::pack::{SLACK, aligned, cut, take};
use super::product::{ByRow, ByStep, LANES, PANEL, ROWS, Spans, accumulate, panel};
use super::softmax::{LOWEST, exp2_one, largest, weigh};
use crate::cpu::simd::sum;
use crate::cpu::{Cpu, CpuBuffer};
use crate::segments::Segments;

/// Query rows of one task.
const QUERIES: usize = 48;
/// Keys of one tile.
const KEYS: usize = 256;
/// Distance of the rows of scores: not a power of two, which would put all rows into the same lines of the cache.
const STRIDE: usize = KEYS + LANES;

/// Keys and values of a segment as [`pack`] lays them out, head after head.
#[derive(Clone, Copy)]
struct Packed<'a> {
    keys: &'a [f32],
    values: &'a [f32],
}

/// The queries of one task and where their results go.
struct Block<'a> {
    /// First row of the segment in the batch, and its length.
    start: usize,
    length: usize,
    /// First query of the block inside the segment.
    first: usize,
    out: &'a mut [f32],
    lse: Option<&'a mut [f32]>,
    /// None for a segment of one block, which packs its own.
    packed: Option<Packed<'a>>,
}

/// Sizes of the packed keys and values of `rows` rows of one head.
fn packed_lengths(shape: &Shape, rows: usize) -> (usize, usize) {
    let padded = shape.head_width.next_multiple_of(LANES);
    (rows.next_multiple_of(PANEL) * shape.head_width, rows * padded)
}

/// `out = softmax(scale q kᵀ) v` inside each segment; with `lse`, also `[rows, heads]` the base 2 logarithm of the sum of the
/// exponentials of the scores of each row and head.
pub(crate) fn forward(
    cpu: &Cpu,
    shape: &Shape,
    operands: [&[f32]; 3],
    segments: &Segments,
    out: &mut [f32],
    lse: Option<&mut [f32]>,
) {
    let [_, k, v] = operands;
    let (mut keys, mut values) = pack_long(cpu, shape, [k, v], segments);
    let (mut keys, mut values) = (&*aligned(keys.values_mut()), &*aligned(values.values_mut()));
    let (width, heads) = (shape.width(), shape.heads);
    let (mut blocks, mut work, mut out, mut lse) = (Vec::new(), 0, out, lse);
    for range in segments.ranges() {
        let packed = (range.len() > QUERIES).then(|| {
            let (key_count, value_count) = packed_lengths(shape, range.len());
            let (own_keys, rest) = keys.split_at(key_count * shape.kv_heads);
            keys = rest;
            let (own_values, rest) = values.split_at(value_count * shape.kv_heads);
            values = rest;
            Packed { keys: own_keys, values: own_values }
        });
        work += 2 * range.len() * range.len() * width;
        for first in (0..range.len()).step_by(QUERIES) {
            let rows = QUERIES.min(range.len() - first);
            let (block, rest) = out.split_at_mut(rows * width);
            out = rest;
            let block_lse = lse.take().map(|all| {
                let (block, rest) = all.split_at_mut(rows * heads);
                lse = Some(rest);
                block
            });
            let (start, length) = (range.start, range.len());
            blocks.push(Block { start, length, first, out: block, lse: block_lse, packed });
        }
    }
    let arch = pulp::Arch::new();
    cpu.each(blocks, work, |block| arch.dispatch(Task { cpu, shape, operands, block }));
}

/// Packs the keys and values of the segments of more than one block.
fn pack_long(cpu: &Cpu, shape: &Shape, [k, v]: [&[f32]; 2], segments: &Segments) -> (CpuBuffer, CpuBuffer) {
    let long = || segments.ranges().filter(|range| range.len() > QUERIES);
    let (mut key_count, mut value_count) = (0, 0);
    for range in long() {
        let (keys, values) = packed_lengths(shape, range.len());
        key_count += keys * shape.kv_heads;
        value_count += values * shape.kv_heads;
    }
    let (mut keys, mut values) = (cpu.buffer(key_count + SLACK), cpu.buffer(value_count + SLACK));
    let mut items = Vec::new();
    let (mut key_rest, mut value_rest) = (aligned(keys.values_mut()), aligned(values.values_mut()));
    for range in long() {
        let (key_count, value_count) = packed_lengths(shape, range.len());
        for head in 0..shape.kv_heads {
            let own_keys = cut(&mut key_rest, key_count);
            let own_values = cut(&mut value_rest, value_count);
            items.push((range.clone(), head, own_keys, own_values));
        }
    }
    cpu.each(items, key_count + value_count, |(range, head, keys, values)| {
        shape.key_head(k, head).panels(range.start, range.len(), keys);
        shape.key_head(v, head).rows(range.start, range.len(), values);
    });
    (keys, values)
}

/// A block of queries with all it needs.
struct Task<'a> {
    cpu: &'a Cpu,
    shape: &'a Shape,
    operands: [&'a [f32]; 3],
    block: Block<'a>,
}

/// Memory of a task.
struct Scratch<'a> {
    /// Queries times scale and log₂ e, in groups.
    q: &'a mut [f32],
    scores: &'a mut [f32],
    /// Sums of weighted values so far.
    sums: &'a mut [f32],
    /// Largest scores of the tile, and sums of weights so far, [`LANES`] of a row.
    maxima: &'a mut [f32],
    totals: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Task { cpu, shape, operands: [q, k, v], mut block } = self;
        let head_width = shape.head_width;
        let padded = head_width.next_multiple_of(LANES);
        let (own_keys, own_values) = match block.packed {
            None => packed_lengths(shape, block.length),
            Some(_) => (0, 0),
        };
        let rows = QUERIES * (head_width + STRIDE + padded + 2 * LANES);
        let mut memory = cpu.buffer(rows + own_keys + own_values + SLACK + 8 * LANES);
        let mut rest = aligned(memory.values_mut());
        let mut scratch = Scratch {
            q: take(&mut rest, QUERIES * head_width),
            scores: take(&mut rest, QUERIES * STRIDE),
            sums: take(&mut rest, QUERIES * padded),
            maxima: take(&mut rest, QUERIES * LANES),
            totals: take(&mut rest, QUERIES * LANES),
        };
        let (keys, values) = (take(&mut rest, own_keys), take(&mut rest, own_values));
        let (key_count, value_count) = packed_lengths(shape, block.length);
        for head in 0..shape.heads {
            let shared = head / shape.group();
            let packed = match block.packed {
                Some(all) => Packed {
                    keys: &all.keys[shared * key_count..][..key_count],
                    values: &all.values[shared * value_count..][..value_count],
                },
                None => {
                    if head % shape.group() == 0 {
                        shape.key_head(k, shared).panels(block.start, block.length, keys);
                        shape.key_head(v, shared).rows(block.start, block.length, values);
                    }
                    Packed { keys, values }
                }
            };
            let rows = block.out.len() / shape.width();
            let scale = shape.scale * LOG2_E;
            shape.query_head(q, head).groups(block.start + block.first, rows, scale, scratch.q);
            let largest = attend(simd, shape, &block, rows, packed, &mut scratch);
            finish(shape, head, &mut block, &largest, &scratch);
        }
    }
}

/// Sums of weighted values and of weights of one head, relative to the largest scores, which are returned.
#[inline(always)]
fn attend<S: Simd>(
    simd: S,
    shape: &Shape,
    block: &Block<'_>,
    rows: usize,
    packed: Packed<'_>,
    scratch: &mut Scratch<'_>,
) -> [f32; QUERIES] {
    let head_width = shape.head_width;
    let padded = head_width.next_multiple_of(LANES);
    let groups = rows.div_ceil(ROWS);
    let mut before = [LOWEST; QUERIES];
    scratch.sums[..groups * ROWS * padded].fill(0.0);
    scratch.totals.fill(0.0);
    for tile in (0..block.length).step_by(KEYS) {
        if shape.causal && tile >= block.first + rows {
            break;
        }
        let count = KEYS.min(block.length - tile);
        scratch.maxima.fill(f32::NEG_INFINITY);
        let right = &packed.keys[tile * head_width..][..count.next_multiple_of(PANEL) * head_width];
        for (number, right) in right.chunks_exact(PANEL * head_width).enumerate() {
            for group in 0..groups {
                if seen(shape, block.first + group * ROWS + ROWS - 1, tile, count) > number * PANEL {
                    let values = &scratch.q[group * ROWS * head_width..];
                    let left = ByStep { values, stride: ROWS };
                    let out = &mut scratch.scores[group * ROWS * STRIDE + number * PANEL..];
                    let maxima = &mut scratch.maxima[group * ROWS * LANES..][..ROWS * LANES];
                    panel(simd, out, STRIDE, left, right, head_width, Some(maxima));
                }
            }
        }
        let values = &packed.values[tile * padded..][..count * padded];
        for group in 0..groups {
            let mut to = [0; ROWS];
            for (m, to) in to.iter_mut().enumerate() {
                *to = seen(shape, block.first + group * ROWS + m, tile, count);
            }
            if to[ROWS - 1] == 0 {
                continue;
            }
            let computed = to[ROWS - 1].next_multiple_of(PANEL);
            let mut factors = [1.0; ROWS];
            for m in 0..ROWS {
                let i = group * ROWS + m;
                if to[m] == 0 {
                    continue;
                }
                let row = &mut scratch.scores[i * STRIDE..][..to[m].next_multiple_of(LANES)];
                let highest = if to[m] == computed {
                    let (maxima, _) = S::as_simd_f32s(&scratch.maxima[i * LANES..][..LANES]);
                    simd.reduce_max_f32s(maxima[0])
                } else {
                    row[to[m]..].fill(f32::NEG_INFINITY);
                    largest(simd, row)
                };
                let now = if highest > before[i] { highest } else { before[i] };
                let factor = exp2_one(before[i] - now);
                let totals = &mut scratch.totals[i * LANES..][..LANES];
                for total in totals.iter_mut() {
                    *total *= factor;
                }
                weigh(simd, row, now, totals);
                factors[m] = factor;
                before[i] = now;
            }
            let left = ByRow { values: &scratch.scores[group * ROWS * STRIDE..], stride: STRIDE };
            let out = &mut scratch.sums[group * ROWS * padded..][..ROWS * padded];
            accumulate(simd, out, &factors, left, values, padded, &Spans { from: [0; ROWS], to });
        }
    }
    before
}

/// Keys of a tile that a query of the segment sees.
#[inline(always)]
fn seen(shape: &Shape, query: usize, tile: usize, count: usize) -> usize {
    if shape.causal { (query + 1).saturating_sub(tile).min(count) } else { count }
}

/// Divides by the sums of weights and writes the results of one head.
#[inline(always)]
fn finish(
    shape: &Shape,
    head: usize,
    block: &mut Block<'_>,
    largest: &[f32; QUERIES],
    scratch: &Scratch<'_>,
) {
    let padded = shape.head_width.next_multiple_of(LANES);
    for (i, row) in block.out.chunks_exact_mut(shape.width()).enumerate() {
        let total = sum(&scratch.totals[i * LANES..][..LANES]);
        let scale = 1.0 / total;
        let sums = &scratch.sums[i * padded..][..shape.head_width];
        for (to, value) in row[head * shape.head_width..][..shape.head_width].iter_mut().zip(sums) {
            *to = value * scale;
        }
        if let Some(lse) = &mut block.lse {
            // In f64, where the library's logarithm is exact enough to round to the same value everywhere.
            lse[i * shape.heads + head] = largest[i] + f64::from(total).log2() as f32;
        }
    }
}
