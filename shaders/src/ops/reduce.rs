//! Sums over rows, in a fixed tree: 256 rows in order, then 256 of those sums, and so on.

use std::ops::Range;

use super::ragged::{self, Span};
use super::{ELEMENTS, cpu_tensor, scale};
use crate::cpu;
use crate::cpu::reduce::{BLOCK, sum_blocks};
use crate::device::Backend;
use crate::error::{DeviceError, Error, Result};
use crate::gpu::{Cost, Gpu, GpuBuffer, Launch, WINDOW_ROWS};
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// Values of a row when a tensor of any shape is summed up: neighbours read neighbours.
const ROW: usize = 64;

/// The sum of the rows of `x` `[rows, columns]`, as `[columns]`.
///
/// # Errors
/// The device's errors.
pub fn column_sum(x: &Tensor) -> Result<Tensor> {
    let (rows, columns) = x.matrix("column_sum", "x")?;
    let out = if rows == 0 { x.device().zeros(&[columns])? } else { folded(x, columns, Term::Value)? };
    Ok(record(out, [x], |_| move |gradient: &Tensor| Ok([Some(broadcast(gradient, rows)?)])))
}

/// The sum of all values, as `[1]`.
///
/// # Errors
/// The device's errors.
pub fn sum(x: &Tensor) -> Result<Tensor> {
    let out = if x.is_empty() {
        x.device().zeros(&[1])?
    } else {
        folded(&folded(x, ROW, Term::Value)?, 1, Term::Value)?
    };
    Ok(record(out, [x], |_| {
        let shape = x.shape().to_vec();
        move |gradient: &Tensor| Ok([Some(broadcast(gradient, shape.iter().product())?.reshape(&shape)?)])
    }))
}

/// The mean of all values, as `[1]`.
///
/// # Errors
/// There are no values; the device's errors.
pub fn mean(x: &Tensor) -> Result<Tensor> {
    if x.is_empty() {
        return Err(Error::shape("mean", "there is nothing to average over"));
    }
    scale(&sum(x)?, 1.0 / x.len() as f32)
}

/// Sums of squares of values that are 64 apart, `[64]`: their sum is the squared length of `x`.
pub(super) fn squares(x: &Tensor) -> Result<Tensor> {
    if x.is_empty() { x.device().zeros(&[ROW]) } else { folded(x, ROW, Term::Square) }
}

/// What is summed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    Value,
    Square,
}

/// The column sums of `x` seen as rows of `columns` values, of which the last may be incomplete.
fn folded(x: &Tensor, columns: usize, term: Term) -> Result<Tensor> {
    let mut sums = sum_step(x, columns, term)?;
    while sums.shape()[0] > 1 {
        sums = sum_step(&sums, columns, Term::Value)?;
    }
    sums.reshape(&[columns])
}

fn sum_step(x: &Tensor, columns: usize, term: Term) -> Result<Tensor> {
    const OP: &str = "column_sum";
    let blocks = x.len().div_ceil((columns * BLOCK).max(1));
    let shape = [blocks.max(1), columns];
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            Ok(cpu_tensor(x.device(), cpu, &shape, |out| sum_blocks(cpu, values, columns, term, out)))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(shape[0] * columns)?;
            let values: Vec<Range<usize>> = (0..blocks)
                .map(|block| block * BLOCK * columns..x.len().min((block + 1) * BLOCK * columns))
                .collect();
            let results: Vec<Range<usize>> =
                (0..blocks).map(|block| block * columns..(block + 1) * columns).collect();
            let (inputs, outputs) = (Span::new(&values, 1), Span::new(&results, 1));
            match ragged::runs(gpu, &[&inputs, &outputs]) {
                Ok(runs) => {
                    for run in runs {
                        let (read, write) = (inputs.touched(&run), outputs.touched(&run));
                        let part = Part { read, write, columns, block: BLOCK, continued: false };
                        part.launch(gpu, x.buffer(OP)?, &out, term)?;
                    }
                }
                Err(DeviceError::TooLarge { .. }) => {
                    for part in parts(gpu, x.len(), columns) {
                        part.launch(gpu, x.buffer(OP)?, &out, term)?;
                    }
                }
                Err(other) => return Err(other.into()),
            }
            Ok(Tensor::from_gpu(x.device(), &shape, out))
        }
    }
}

/// One launch of a sum: values of the operand and of the result.
struct Part {
    read: Range<usize>,
    write: Range<usize>,
    /// Values from one row to the next.
    columns: usize,
    /// Rows for each row of the result.
    block: usize,
    /// Whether the result holds the sums of the rows before.
    continued: bool,
}

/// The sums of blocks of rows that are larger than a binding: some rows of a block after the other, or some columns of a
/// row. Each value is the same chain of additions.
fn parts(gpu: &Gpu, len: usize, columns: usize) -> Vec<Part> {
    let most = (gpu.largest_binding() as usize / 4).saturating_sub(WINDOW_ROWS).max(1);
    let (width, step) = (columns.min(most), (most / columns).max(1));
    let rows = len.div_ceil(columns);
    let mut parts = Vec::new();
    for block in 0..rows.div_ceil(BLOCK) {
        for left in (0..columns).step_by(width) {
            let width = width.min(columns - left);
            let end = rows.min((block + 1) * BLOCK);
            for first in (block * BLOCK..end).step_by(step) {
                let last = end.min(first + step) - 1;
                let to = block * columns + left;
                parts.push(Part {
                    read: len.min(first * columns + left)..len.min(last * columns + left + width),
                    write: to..to + width,
                    // There is one row if it is cut.
                    columns: width,
                    block: step,
                    continued: first > block * BLOCK,
                });
            }
        }
    }
    parts
}

impl Part {
    fn launch(&self, gpu: &Gpu, x: &GpuBuffer, out: &GpuBuffer, term: Term) -> Result<()> {
        let Part { read, write, columns, block, continued } = self;
        let part = std::slice::from_ref;
        let (inputs, outputs) = (Span::new(part(read), 1), Span::new(part(write), 1));
        let ((from, first), (to, first_out)) = (inputs.window(x, &(0..1)), outputs.window(out, &(0..1)));
        let words = [
            write.len(),
            *columns,
            *block,
            read.start - first as usize,
            read.end - first as usize,
            write.start - first_out as usize,
            usize::from(*continued),
        ];
        gpu.launch(&Launch {
            kernel: kernel(term),
            parameters: &words.map(|word| word as u32),
            buffers: &[from, to],
            groups: (write.len() as u64).div_ceil(ELEMENTS),
            cost: Cost { flops: read.len() as f64, bytes: 4.0 * (read.len() + write.len()) as f64 },
        })?;
        Ok(())
    }
}

/// `rows` rows that all are `row` `[columns]`, as `[rows, columns]`.
fn broadcast(row: &Tensor, rows: usize) -> Result<Tensor> {
    const OP: &str = "broadcast";
    let columns = row.len();
    let shape = [rows, columns];
    match row.device().backend() {
        Backend::Cpu(cpu) => {
            let values = row.host(OP)?;
            Ok(cpu_tensor(row.device(), cpu, &shape, |out| cpu::reduce::broadcast(cpu, values, out)))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(rows * columns)?;
            for window in gpu.windows(rows, columns)? {
                let count = window.len() * columns;
                gpu.launch(&Launch {
                    kernel: Kernel::new("broadcast", &[]),
                    parameters: &[count as u32, columns as u32],
                    buffers: &[row.binding(OP)?, out.rows(&window, columns)],
                    groups: (count as u64).div_ceil(ELEMENTS),
                    cost: Cost { flops: count as f64, bytes: 4.0 * count as f64 },
                })?;
            }
            Ok(Tensor::from_gpu(row.device(), &shape, out))
        }
    }
}

fn kernel(term: Term) -> Kernel {
    Kernel::new("sum_blocks", &[("SQUARE", u32::from(term == Term::Square))])
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![kernel(Term::Value), kernel(Term::Square), Kernel::new("broadcast", &[])]
}
