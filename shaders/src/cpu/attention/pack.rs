//! Operands of attention in the layouts that the products read: contiguous, aligned, padded with zeros.

use super::product::{LANES, PANEL, ROWS};
use crate::cpu::Cpu;
use crate::segments::Segments;

/// Row `row` of a head: `values[row * stride + column..][..width]`.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) column: usize,
    pub(super) width: usize,
}

impl<'a> Head<'a> {
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.column..][..self.width]
    }

    /// Columns of a row of [`Head::rows`].
    pub(super) fn padded(&self) -> usize {
        self.width.next_multiple_of(LANES)
    }

    /// Rows `first..first + count` transposed, in panels of [`PANEL`] rows: `[panel, width, PANEL]`.
    #[inline(always)]
    pub(super) fn panels(&self, first: usize, count: usize, target: &mut [f32]) {
        for (panel, at) in target.chunks_exact_mut(PANEL * self.width).zip((0..count).step_by(PANEL)) {
            let present = PANEL.min(count - at);
            if present < PANEL {
                panel.fill(0.0);
            }
            for i in 0..present {
                for (to, value) in panel.chunks_exact_mut(PANEL).zip(self.row(first + at + i)) {
                    to[i] = *value;
                }
            }
        }
    }

    /// Rows one after the other, of [`Head::padded`] columns.
    #[inline(always)]
    pub(super) fn rows(&self, first: usize, count: usize, target: &mut [f32]) {
        for (i, row) in target.chunks_exact_mut(self.padded()).take(count).enumerate() {
            let (present, rest) = row.split_at_mut(self.width);
            present.copy_from_slice(self.row(first + i));
            rest.fill(0.0);
        }
    }

    /// Rows times `scale` in groups of [`ROWS`]: `[group, width, ROWS]`.
    #[inline(always)]
    pub(super) fn groups(&self, first: usize, count: usize, scale: f32, target: &mut [f32]) {
        for (group, at) in target.chunks_exact_mut(ROWS * self.width).zip((0..count).step_by(ROWS)) {
            let present = ROWS.min(count - at);
            if present < ROWS {
                group.fill(0.0);
            }
            for i in 0..present {
                for (to, value) in group.chunks_exact_mut(ROWS).zip(self.row(first + at + i)) {
                    to[i] = *value * scale;
                }
            }
        }
    }
}

/// Values that [`aligned`] may skip.
pub(super) const SLACK: usize = LANES;

/// `values` from the first cache line on: vectors across two lines load at half the speed.
pub(super) fn aligned(values: &mut [f32]) -> &mut [f32] {
    let skip = values.as_ptr().align_offset(4 * LANES).min(SLACK - 1);
    &mut values[skip..]
}

/// Takes `len` values from the front.
pub(super) fn cut<'a>(values: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let (front, rest) = std::mem::take(values).split_at_mut(len);
    *values = rest;
    front
}

/// Takes `len` values from the front, in whole cache lines.
pub(super) fn take<'a>(values: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    &mut cut(values, len.next_multiple_of(LANES))[..len]
}

/// From `[head, row, column]` inside each segment to `[row, head, column]`.
pub(super) fn interleave(
    cpu: &Cpu,
    segments: &Segments,
    heads: usize,
    head_width: usize,
    from: &[f32],
    mut to: &mut [f32],
) {
    let mut items = Vec::new();
    for range in segments.ranges() {
        let start = range.start * heads * head_width;
        let (part, rest) = to.split_at_mut(range.len() * heads * head_width);
        to = rest;
        items.push((range.len(), &from[start..start + part.len()], part));
    }
    cpu.each(items, from.len(), |(rows, from, to)| {
        for (row, to) in to.chunks_exact_mut(heads * head_width).enumerate() {
            for (head, to) in to.chunks_exact_mut(head_width).enumerate() {
                to.copy_from_slice(&from[(head * rows + row) * head_width..][..head_width]);
            }
        }
    });
}
