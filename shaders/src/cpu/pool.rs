//! CPU twins of pooling over ragged segments, and of its backward passes. Items are as on the GPU.

use super::Cpu;
use super::simd::vectorized;
use crate::ops::{Item, Reduction, SKIPPED};

/// One row of `out` per item: rows `item[0]..item[1]` of `x`, in blocks of `block` rows.
pub(crate) fn reduce(
    cpu: &Cpu,
    x: &[f32],
    width: usize,
    items: &[Item],
    block: usize,
    reduction: Reduction,
    out: &mut [f32],
) {
    let longest = items.iter().map(|item| (item[1] - item[0]) as usize).max().unwrap_or(0);
    cpu.rows(out, width, width * longest, 1, |first, out| {
        let mut partial = vec![0.0; width];
        for (item, out) in items[first..].iter().zip(out.chunks_exact_mut(width)) {
            if item[2] == 0 {
                out.fill(f32::NAN);
                continue;
            }
            let x = &x[item[0] as usize * width..item[1] as usize * width];
            vectorized(
                #[inline(always)]
                || match reduction {
                    Reduction::Mean => mean(x, block, item[2], &mut partial, out),
                    Reduction::Max => max(x, out),
                },
            );
        }
    });
}

#[inline(always)]
fn mean(x: &[f32], block: usize, count: u32, partial: &mut [f32], out: &mut [f32]) {
    let width = out.len();
    out.fill(0.0);
    for block in x.chunks(block * width) {
        partial.fill(0.0);
        for row in block.chunks_exact(width) {
            partial.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        out.iter_mut().zip(&*partial).for_each(|(sum, value)| *sum += value);
    }
    let count = count as f32;
    out.iter_mut().for_each(|sum| *sum /= count);
}

#[inline(always)]
fn max(x: &[f32], out: &mut [f32]) {
    out.fill(f32::NEG_INFINITY);
    for row in x.chunks_exact(out.len()) {
        for (max, &value) in out.iter_mut().zip(row) {
            // Not a number stays once it is there.
            *max = if value > *max || value.is_nan() { value } else { *max };
        }
    }
}

/// Calls `work(item number, row, values)` for the rows of `out`, in parallel; the items cover all rows in order.
fn for_rows<F>(cpu: &Cpu, width: usize, items: &[Item], out: &mut [f32], work: F)
where
    F: Fn(usize, usize, &mut [f32]) + Sync,
{
    cpu.rows(out, width, width, 1, |first, out| {
        let mut number = items.partition_point(|item| item[1] as usize <= first);
        for (row, out) in (first..).zip(out.chunks_exact_mut(width)) {
            while items[number][1] as usize <= row {
                number += 1;
            }
            work(number, row, out);
        }
    });
}

/// The gradient of a segment's mean at its rows: divided by `item[3]`, or 0 where that is 0.
pub(crate) fn spread(cpu: &Cpu, gradient: &[f32], width: usize, items: &[Item], out: &mut [f32]) {
    for_rows(cpu, width, items, out, |number, _, out| {
        let [_, _, segment, count] = items[number];
        if count == 0 {
            out.fill(0.0);
            return;
        }
        let slope = &gradient[segment as usize * width..][..width];
        vectorized(
            #[inline(always)]
            || out.iter_mut().zip(slope).for_each(|(out, slope)| *out = slope / count as f32),
        );
    });
}

/// Where the largest values of segments are looked for.
pub(crate) struct Search<'a> {
    pub(crate) x: &'a [f32],
    /// One row per segment.
    pub(crate) largest: &'a [f32],
    pub(crate) columns: usize,
    /// First row, end, segment, and first item of the segment.
    pub(crate) items: &'a [Item],
}

fn is_largest(value: f32, largest: f32) -> bool {
    value == largest || (value.is_nan() && largest.is_nan())
}

/// 1 for each item and column that holds the largest value, else 0.
pub(crate) fn mark_largest(cpu: &Cpu, search: &Search<'_>, marks: &mut [f32]) {
    let width = search.columns;
    cpu.rows(marks, width, width * 64, 1, |first, marks| {
        for (item, marks) in search.items[first..].iter().zip(marks.chunks_exact_mut(width)) {
            let largest = &search.largest[item[2] as usize * width..][..width];
            marks.fill(0.0);
            for row in search.x[item[0] as usize * width..item[1] as usize * width].chunks_exact(width) {
                for ((mark, &value), &largest) in marks.iter_mut().zip(row).zip(largest) {
                    *mark = if is_largest(value, largest) { 1.0 } else { *mark };
                }
            }
        }
    });
}

/// The gradient at x: to the first row of a segment that has the largest value, in the first block that is marked.
pub(crate) fn backward_of_max(
    cpu: &Cpu,
    search: &Search<'_>,
    gradient: &[f32],
    marks: &[f32],
    out: &mut [f32],
) {
    let width = search.columns;
    for_rows(cpu, width, search.items, out, |number, row, out| {
        let [start, _, segment, first] = search.items[number];
        if first == SKIPPED {
            out.fill(0.0);
            return;
        }
        let (start, segment, first) = (start as usize, segment as usize * width, first as usize);
        for (column, out) in out.iter_mut().enumerate() {
            let largest = search.largest[segment + column];
            let here = |row: usize| is_largest(search.x[row * width + column], largest);
            let taken = || {
                (first..number).any(|before| marks[before * width + column] != 0.0) || (start..row).any(here)
            };
            *out = if here(row) && !taken() { gradient[segment + column] } else { 0.0 };
        }
    });
}
