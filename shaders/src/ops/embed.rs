//! Gathering rows of a table, and summing gradients into them.

use std::ops::Range;

use super::cpu_tensor;
use super::ragged::{self, Span};
use crate::cpu;
use crate::device::Backend;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::gpu::{Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::segments::Ids;
use crate::tape::record;
use crate::tensor::Tensor;

/// Gradients of one table row that are added up before the sum is added to the row: keeps rounding errors of rows that
/// every token uses small, and shares their work.
const PIECE: usize = 256;

/// Rows `ids` of `table` `[entries, columns]`, as `[ids, columns]` of f32. The table may be stored in 16 bits, and larger
/// than what an adapter binds at once. Also serves to pick the rows of a training batch. The gradient of the table is
/// dense: zeros in rows that no id names.
///
/// # Errors
/// An id is not a row of the table; devices differ; the device's errors.
pub fn embed(table: &Tensor, ids: &Ids) -> Result<Tensor> {
    const OP: &str = "embed";
    let (entries, columns) = table.matrix(OP, "table")?;
    if let Some(largest) = ids.largest().filter(|&id| id as usize >= entries) {
        return Err(Error::shape(OP, format!("id {largest} is outside of a table of {entries} rows")));
    }
    ids.expect_home(OP, table)?;
    let shape = [ids.len(), columns];
    let out = match table.device().backend() {
        Backend::Cpu(cpu) => {
            let rows = table.host_stored(OP)?;
            let fill = |out: &mut [f32]| cpu::embed::embed(cpu, rows, columns, ids.values(), out);
            cpu_tensor(table.device(), cpu, &shape, fill)
        }
        Backend::Gpu(gpu) => gather(gpu, OP, table, ids)?,
    };
    Ok(record(out, [table], |_| {
        let ids = ids.clone();
        move |gradient: &Tensor| Ok([Some(scatter_add(gradient, &ids, entries)?)])
    }))
}

/// The rows of `table` with the numbers `ids`, on a GPU.
pub(super) fn gather(gpu: &Gpu, op: &'static str, table: &Tensor, ids: &Ids) -> Result<Tensor> {
    let (entries, columns) = table.matrix(op, "table")?;
    let out = gpu.buffer(ids.len() * columns)?;
    let words = match table.element() {
        Element::F32 => columns,
        Element::F16 | Element::Bf16 => columns.div_ceil(2),
    };
    for rows in gpu.windows(entries, words)? {
        for window in gpu.windows(ids.len(), columns)? {
            let count = window.len() * columns;
            let (list, first) = ids.part(op, &window, 1)?;
            let parameters = [count, columns, window.start - first, rows.start, rows.len()];
            gpu.launch(&Launch {
                kernel: lookup(table.element()),
                parameters: &parameters.map(|word| word as u32),
                buffers: &[table.weight_window(op, &rows)?, list, out.rows(&window, columns)],
                groups: (count as u64).div_ceil(super::ELEMENTS),
                cost: Cost { flops: count as f64, bytes: 8.0 * count as f64 },
            })?;
        }
    }
    Ok(Tensor::from_gpu(table.device(), &[ids.len(), columns], out))
}

/// The sum of the rows of `x` `[ids, columns]` with the same id, for every id below `entries`: `[entries, columns]`. Without
/// atomics: ids are sorted on the host, and every row is a sum of pieces of [`PIECE`] rows in the order of `x`.
pub(crate) fn scatter_add(x: &Tensor, ids: &Ids, entries: usize) -> Result<Tensor> {
    const OP: &str = "scatter_add";
    let plan = Plan::new(ids.values(), entries);
    let device = x.device();
    let pieces = Ids::new(device, &plan.pieces)?;
    let order = Ids::new(device, &plan.order)?;
    let partial = sum_lists(OP, x, &pieces, Some(&order))?;
    sum_lists(OP, &partial, &Ids::new(device, &plan.rows)?, None)
}

/// Which rows are summed, in which order.
struct Plan {
    /// Numbers of the ids, sorted by id, those of one id in their order.
    order: Vec<u32>,
    /// Where in `order` each piece begins, and the end.
    pieces: Vec<u32>,
    /// The first piece of each entry, and the end.
    rows: Vec<u32>,
}

impl Plan {
    fn new(ids: &[u32], entries: usize) -> Plan {
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.sort_by_key(|&number| ids[number as usize]);
        let (mut pieces, mut rows) = (Vec::new(), Vec::with_capacity(entries + 1));
        let mut at = 0;
        for same in order.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]) {
            // Entries up to this one begin here; those before it are empty.
            rows.resize(ids[same[0] as usize] as usize + 1, pieces.len() as u32);
            pieces.extend((at..at + same.len()).step_by(PIECE).map(|first| first as u32));
            at += same.len();
        }
        rows.resize(entries + 1, pieces.len() as u32);
        pieces.push(at as u32);
        Plan { order, pieces, rows }
    }
}

/// Row i is the sum, in order, of the rows of `x` that list i names: entries `offsets[i]..offsets[i + 1]` of `order`, or
/// those rows themselves.
fn sum_lists(op: &'static str, x: &Tensor, offsets: &Ids, order: Option<&Ids>) -> Result<Tensor> {
    let (rows, columns) = x.matrix(op, "x")?;
    let shape = [offsets.len() - 1, columns];
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(op)?;
            let order = order.map(Ids::values);
            let fill = |out: &mut [f32]| {
                cpu::embed::sum_lists(cpu, values, columns, offsets.values(), order, out);
            };
            Ok(cpu_tensor(x.device(), cpu, &shape, fill))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(shape[0] * columns)?;
            let lists: Vec<Range<usize>> =
                offsets.values().windows(2).map(|pair| pair[0] as usize..pair[1] as usize).collect();
            let numbers = ragged::one_each(shape[0]);
            let (entries, outputs) =
                (Span::new(&lists, usize::from(order.is_some())), Span::new(&numbers, columns));
            for run in ragged::runs(gpu, &[&entries, &outputs])? {
                let (places, first_list) = offsets.part(op, &(run.start..run.end + 1), 1)?;
                let (to, first_out) = outputs.window(&out, &run);
                let order = order.map(|order| order.part(op, &entries.touched(&run), 1)).transpose()?;
                // In order: sums continue from one window of `x` to the next.
                for read in gpu.windows(rows, columns)? {
                    let count = run.len() * columns;
                    let parameters = [
                        count,
                        columns,
                        run.start - first_list,
                        run.start - first_out as usize,
                        order.map_or(0, |(_, first)| first),
                        read.start,
                        read.len(),
                        usize::from(read.start > 0),
                    ];
                    let mut buffers = vec![x.window(op, &read)?, places, to];
                    buffers.extend(order.map(|(entries, _)| entries));
                    gpu.launch(&Launch {
                        kernel: sum(order.is_some()),
                        parameters: &parameters.map(|word| word as u32),
                        buffers: &buffers,
                        groups: (count as u64).div_ceil(super::ELEMENTS),
                        cost: Cost {
                            flops: (read.len() * columns + count) as f64,
                            bytes: 4.0 * (read.len() * columns + count) as f64,
                        },
                    })?;
                }
            }
            Ok(Tensor::from_gpu(x.device(), &shape, out))
        }
    }
}

fn lookup(element: Element) -> Kernel {
    Kernel::new("embed", &[("ELEMENT", element.code())])
}

fn sum(order: bool) -> Kernel {
    Kernel::new("embed_backward", &[("ORDER", u32::from(order))])
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut kernels = [Element::F32, Element::F16, Element::Bf16].map(lookup).to_vec();
    kernels.extend([false, true].map(sum));
    kernels
}

#[cfg(test)]
mod tests {
    use super::{PIECE, Plan};

    #[test]
    fn a_plan_sorts_stably_and_cuts_long_lists() {
        let plan = Plan::new(&[3, 1, 3, 1, 1], 5);
        assert_eq!(plan.order, [1, 3, 4, 0, 2]);
        assert_eq!(plan.pieces, [0, 3, 5]);
        assert_eq!(plan.rows, [0, 0, 1, 1, 2, 2]);
        let plan = Plan::new(&vec![0; 2 * PIECE + 1], 1);
        assert_eq!(plan.pieces, [0, PIECE as u32, 2 * PIECE as u32, 2 * PIECE as u32 + 1]);
        assert_eq!(plan.rows, [0, 3]);
        let plan = Plan::new(&[], 2);
        assert_eq!((plan.pieces, plan.rows), (vec![0], vec![0, 0, 0]));
    }
}
