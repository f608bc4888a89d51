//! Backward passes of pooling: the gradient of a segment's row spread over its rows, or given to the rows that had the
//! largest values.

use std::ops::Range;

use super::Pool;
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::ops::ragged::{self, Item, Span};
use crate::ops::{ELEMENTS, cpu_tensor};
use crate::segments::{Ids, Segments};
use crate::tensor::Tensor;

const OP: &str = "pool";

/// Fourth number of the blocks of rows that are not pooled, for the search of largest values.
pub(crate) const SKIPPED: u32 = u32::MAX;

/// Blocks of all rows, none across a border of a segment or of what is pooled of it: first row, end, segment; with the
/// pooled rows of the segment and whether the block is among them.
fn blocks(
    segments: &Segments,
    kind: Pool,
) -> impl Iterator<Item = (Range<usize>, usize, Range<usize>, bool)> {
    segments.ranges().enumerate().flat_map(move |(number, segment)| {
        let kept = kind.kept(segment.clone());
        let parts =
            [(segment.start..kept.start, false), (kept.clone(), true), (kept.end..segment.end, false)];
        parts.into_iter().flat_map(move |(part, pooled)| {
            let kept = kept.clone();
            ragged::cut(part).map(move |block| (block, number, kept.clone(), pooled))
        })
    })
}

/// The gradient at the rows from `gradient` at the mean of each segment, or at its first row: the same for all pooled rows
/// of a segment, 0 for the others.
pub(super) fn spread(gradient: &Tensor, segments: &Segments, kind: Pool) -> Result<Tensor> {
    let (_, columns) = gradient.matrix(OP, "gradient")?;
    let items: Vec<Item> = blocks(segments, kind)
        .map(|(block, segment, kept, pooled)| {
            let share = if pooled { kept.len() as u32 } else { 0 };
            [block.start as u32, block.end as u32, segment as u32, share]
        })
        .collect();
    let shape = [segments.rows(), columns];
    match gradient.device().backend() {
        Backend::Cpu(cpu) => {
            let slope = gradient.host(OP)?;
            let fill = |out: &mut [f32]| cpu::pool::spread(cpu, slope, columns, &items, out);
            Ok(cpu_tensor(gradient.device(), cpu, &shape, fill))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(shape[0] * columns)?;
            let list = ragged::upload(gradient.device(), &items)?;
            let (rows, owners) = (ragged::rows_of(&items), owners_of(&items));
            let (inputs, outputs) = (Span::new(&owners, columns), Span::new(&rows, columns));
            for run in ragged::runs(gpu, &[&inputs, &outputs])? {
                let (from, first_segment) = inputs.window(gradient.buffer(OP)?, &run);
                let (to, first_row) = outputs.window(&out, &run);
                let (list, first_item) = list.part(OP, &run, 4)?;
                let first_item = (run.start - first_item) as u32;
                let count = run.len() * columns;
                let written = outputs.touched(&run).len() * columns;
                gpu.launch(&Launch {
                    kernel: Kernel::new("pool_spread", &[]),
                    parameters: &[count as u32, columns as u32, first_item, first_row, first_segment],
                    buffers: &[from, list, to],
                    groups: (count as u64).div_ceil(ELEMENTS),
                    cost: Cost { flops: count as f64, bytes: 4.0 * (written + count) as f64 },
                })?;
            }
            Ok(Tensor::from_gpu(gradient.device(), &shape, out))
        }
    }
}

/// The gradient at `x` from the gradient at `pooled`, its largest values: to the first row of the segment that has the
/// value (or is not a number, if the value is none).
pub(super) fn backward_of_max(
    x: &Tensor,
    pooled: &Tensor,
    gradient: &Tensor,
    segments: &Segments,
    kind: Pool,
) -> Result<Tensor> {
    let (_, columns) = x.matrix(OP, "x")?;
    let mut items: Vec<Item> = Vec::new();
    for (block, segment, kept, among) in blocks(segments, kind) {
        // Number of the item with the first block of the segment.
        let first = match items.last() {
            _ if !among => SKIPPED,
            Some(before) if block.start > kept.start => before[3],
            _ => items.len() as u32,
        };
        items.push([block.start as u32, block.end as u32, segment as u32, first]);
    }
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, largest, slope) = (x.host(OP)?, pooled.host(OP)?, gradient.host(OP)?);
            let search = cpu::pool::Search { x: values, largest, columns, items: &items };
            let mark = |marks: &mut [f32]| cpu::pool::mark_largest(cpu, &search, marks);
            let marks = cpu_tensor(x.device(), cpu, &[items.len(), columns], mark);
            let marks = marks.host(OP)?;
            let fill = |out: &mut [f32]| cpu::pool::backward_of_max(cpu, &search, slope, marks, out);
            Ok(cpu_tensor(x.device(), cpu, x.shape(), fill))
        }
        Backend::Gpu(gpu) => Search::new(x, pooled, &items)?.run(gpu, gradient),
    }
}

/// The search for largest values on a GPU.
struct Search<'a> {
    x: &'a Tensor,
    pooled: &'a Tensor,
    list: Ids,
    /// Rows, segment, and own number of each item; and the numbers of the items of its segment up to itself.
    rows: Vec<Range<usize>>,
    owners: Vec<Range<usize>>,
    numbers: Vec<Range<usize>>,
    earlier: Vec<Range<usize>>,
}

impl<'a> Search<'a> {
    fn new(x: &'a Tensor, pooled: &'a Tensor, items: &[Item]) -> Result<Search<'a>> {
        let from = |i: usize| if items[i][3] == SKIPPED { i } else { items[i][3] as usize };
        Ok(Search {
            x,
            pooled,
            list: ragged::upload(x.device(), items)?,
            rows: ragged::rows_of(items),
            owners: owners_of(items),
            numbers: ragged::one_each(items.len()),
            earlier: (0..items.len()).map(|i| from(i)..i + 1).collect(),
        })
    }

    /// Marks which blocks hold the largest value of a column; then the first block with a mark looks for its row.
    fn run(&self, gpu: &Gpu, gradient: &Tensor) -> Result<Tensor> {
        let (_, columns) = self.x.matrix(OP, "x")?;
        let marks = gpu.buffer(self.rows.len() * columns)?;
        let out = gpu.buffer(self.x.len())?;
        let (rows, owners) = (Span::new(&self.rows, columns), Span::new(&self.owners, columns));
        let (own, earlier) = (Span::new(&self.numbers, columns), Span::new(&self.earlier, columns));
        for run in ragged::runs(gpu, &[&rows, &owners, &own])? {
            let (to, first_mark) = own.window(&marks, &run);
            self.launch(gpu, true, &run, first_mark, &[to])?;
        }
        for run in ragged::runs(gpu, &[&rows, &owners, &earlier])? {
            let (found, first_mark) = earlier.window(&marks, &run);
            let slope = owners.window(gradient.buffer(OP)?, &run).0;
            let to = rows.window(&out, &run).0;
            self.launch(gpu, false, &run, first_mark, &[found, slope, to])?;
        }
        Ok(Tensor::from_gpu(self.x.device(), self.x.shape(), out))
    }

    fn launch(
        &self,
        gpu: &Gpu,
        find: bool,
        run: &Range<usize>,
        first_mark: u32,
        buffers: &[Binding<'_>],
    ) -> Result<()> {
        let (_, columns) = self.x.matrix(OP, "x")?;
        let (rows, owners) = (Span::new(&self.rows, columns), Span::new(&self.owners, columns));
        let (x, first_row) = rows.window(self.x.buffer(OP)?, run);
        let (largest, first_segment) = owners.window(self.pooled.buffer(OP)?, run);
        let (list, first_listed) = self.list.part(OP, run, 4)?;
        let count = run.len() * columns;
        let read = rows.touched(run).len() * columns;
        gpu.launch(&Launch {
            kernel: Kernel::new("pool_max_backward", &[("MARK", u32::from(find))]),
            parameters: &[
                count as u32,
                columns as u32,
                run.start as u32,
                first_listed as u32,
                first_row,
                first_segment,
                first_mark,
            ],
            buffers: &[&[x, list, largest], buffers].concat(),
            groups: (count as u64).div_ceil(ELEMENTS),
            cost: Cost { flops: read as f64, bytes: 8.0 * read as f64 },
        })?;
        Ok(())
    }
}

/// The segment of each item, as a range of one.
fn owners_of(items: &[Item]) -> Vec<Range<usize>> {
    items.iter().map(|item| item[2] as usize..item[2] as usize + 1).collect()
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    let search = [0, 1].map(|mark| Kernel::new("pool_max_backward", &[("MARK", mark)]));
    [search.to_vec(), vec![Kernel::new("pool_spread", &[])]].concat()
}
