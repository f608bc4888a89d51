//! Sums over ragged ranges of rows: how long ranges are cut so that one of them keeps a whole device busy, and how the
//! work is cut when a tensor is larger than what one binding covers.
//!
//! A range is summed in blocks of [`BLOCK`] rows, each in order, and the sums of the blocks are added in order. Whether one
//! task does all blocks of a range or many do one each changes no bit, so the choice may depend on the batch.

use std::ops::Range;

use crate::device::{Backend, Device};
use crate::error::{DeviceError, Result};
use crate::gpu::{Binding, Gpu, GpuBuffer, WINDOW_ROWS};
use crate::segments::Ids;

/// Rows that are added in order before their sum is added to the total: part of the definition of every ragged sum.
pub(crate) const BLOCK: usize = 64;

/// Values of the result from which a device is busy without cutting ranges.
const BUSY: usize = 1 << 18;

/// A range of rows that gives one row: first row, end, and two numbers whose meaning the kernel defines.
pub(crate) type Item = [u32; 4];

/// The passes of a ragged reduction.
pub(crate) struct Plan {
    /// One item for each block of rows, if ranges are cut. The third number is 1.
    pub(crate) blocks: Option<Vec<Item>>,
    /// One item for each range, over rows or over the results of its blocks. The third number is the range's.
    pub(crate) ranges: Vec<Item>,
}

impl Plan {
    /// Reduces `ranges` (in rising order), each with a number for the kernel, to rows of `width` values. Ranges of more than
    /// `most` rows are cut in any case.
    pub(crate) fn new(ranges: Vec<(Range<usize>, u32)>, width: usize, most: usize) -> Plan {
        let longest = ranges.iter().map(|(range, _)| range.len()).max().unwrap_or(0);
        let item = |range: Range<usize>, number| [range.start as u32, range.end as u32, number, 0];
        let busy = ranges.len().saturating_mul(width) >= BUSY;
        if longest <= BLOCK || (busy && longest <= most) {
            let ranges = ranges.into_iter().map(|(range, number)| item(range, number));
            return Plan { blocks: None, ranges: ranges.collect() };
        }
        let mut blocks = Vec::new();
        let mut totals = Vec::with_capacity(ranges.len());
        for (range, number) in ranges {
            let first = blocks.len();
            blocks.extend(cut(range).map(|block| item(block, 1)));
            totals.push(item(first..blocks.len(), number));
        }
        Plan { blocks: Some(blocks), ranges: totals }
    }
}

/// The blocks of a range.
pub(crate) fn cut(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(BLOCK).map(move |first| first..range.end.min(first + BLOCK))
}

/// Rows of `width` values that one binding holds, wherever they begin.
pub(crate) fn bindable(device: &Device, width: usize) -> usize {
    match device.backend() {
        Backend::Cpu(_) => usize::MAX,
        Backend::Gpu(gpu) => (gpu.largest_binding() as usize / 4 / width.max(1)).saturating_sub(WINDOW_ROWS),
    }
}

/// Uploads items for a kernel.
pub(crate) fn upload(device: &Device, items: &[Item]) -> Result<Ids> {
    Ids::new(device, items.as_flattened())
}

/// Rows of a tensor that the items of a launch touch, item by item: both ends rise with the items.
pub(crate) struct Span<'a> {
    /// Rows of each item.
    pub(crate) rows: &'a [Range<usize>],
    /// f32 values of a row.
    pub(crate) width: usize,
}

impl<'a> Span<'a> {
    pub(crate) fn new(rows: &'a [Range<usize>], width: usize) -> Span<'a> {
        Span { rows, width }
    }

    /// All rows that a run of items touches.
    pub(crate) fn touched(&self, run: &Range<usize>) -> Range<usize> {
        self.rows[run.start].start..self.rows[run.end - 1].end
    }

    /// What a run of items touches of `buffer`, from an aligned row at or before the first; and that row's number.
    pub(crate) fn window<'b>(&self, buffer: &'b GpuBuffer, run: &Range<usize>) -> (Binding<'b>, u32) {
        let rows = self.touched(run);
        let first = rows.start / WINDOW_ROWS * WINDOW_ROWS;
        if rows.is_empty() {
            // Something must be bound; every buffer has this much.
            return (buffer.rows(&(0..64), 1), first as u32);
        }
        (buffer.rows(&(first..rows.end), self.width), first as u32)
    }

    fn bytes(&self, run: &Range<usize>) -> u64 {
        let rows = self.touched(run);
        let rows = rows.end.saturating_sub(rows.start / WINDOW_ROWS * WINDOW_ROWS);
        (rows as u64 * self.width as u64 * 4).next_multiple_of(16)
    }
}

/// Item i has row i.
pub(crate) fn one_each(count: usize) -> Vec<Range<usize>> {
    (0..count).map(|i| i..i + 1).collect()
}

/// The ranges of rows that the first two numbers of items give.
pub(crate) fn rows_of(items: &[Item]) -> Vec<Range<usize>> {
    items.iter().map(|item| item[0] as usize..item[1] as usize).collect()
}

/// Cuts items into runs such that what a run touches of every tensor, and its list of items, fit into one binding each. One
/// run, in most cases. An item that touches more than a binding covers is [`DeviceError::TooLarge`].
pub(crate) fn runs(gpu: &Gpu, spans: &[&Span<'_>]) -> Result<Vec<Range<usize>>, DeviceError> {
    let limit = gpu.largest_binding();
    let count = spans.first().map_or(0, |span| span.rows.len());
    let list = |run: &Range<usize>| {
        let items = run.end - run.start / WINDOW_ROWS * WINDOW_ROWS;
        (items * size_of::<Item>()) as u64
    };
    let largest = |run: &Range<usize>| spans.iter().map(|span| span.bytes(run)).fold(list(run), Ord::max);
    let mut runs = Vec::new();
    let mut start = 0;
    while start < count {
        let (mut fits, mut too_long) = (start, count + 1);
        if largest(&(start..count)) <= limit {
            fits = count;
        } else {
            while fits + 1 < too_long {
                let middle = usize::midpoint(fits, too_long);
                if largest(&(start..middle)) <= limit {
                    fits = middle;
                } else {
                    too_long = middle;
                }
            }
        }
        if fits == start {
            let bytes = largest(&(start..start + 1));
            return Err(DeviceError::TooLarge { device: gpu.info().name, bytes, limit });
        }
        runs.push(start..fits);
        start = fits;
    }
    Ok(runs)
}
