//! The product of a sparse matrix and a dense one, and its gradients.

use std::ops::Range;

use super::pattern::Side;
use super::{Csr, dots};
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::ops::embed::gather;
use crate::ops::pool::{Reduction, reduce};
use crate::ops::ragged::{self, Item, Plan, Span};
use crate::ops::{ELEMENTS, cpu_tensor};
use crate::segments::Ids;
use crate::tape::record;
use crate::tensor::Tensor;

const OP: &str = "csr_matmul";

/// The sparse matrix with the given `values` `[nonzeros]` times `dense` `[columns, width]`, as `[rows, width]`: for gene
/// counts of cells and a table of genes, the weighted sum of the genes of each cell. Bound by reading the table; rows are
/// never padded, and an empty row gives 0. Both `values` and `dense` get gradients; that of `dense` is a product with the
/// transposed matrix, in the order of the rows.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn csr_matmul(values: &Tensor, matrix: &Csr, dense: &Tensor) -> Result<Tensor> {
    values.expect_vector(OP, "values", matrix.nonzeros())?;
    let (rows, _) = dense.matrix(OP, "dense")?;
    if rows != matrix.columns() {
        let message = format!("`dense` has {rows} rows, the sparse matrix {} columns", matrix.columns());
        return Err(Error::shape(OP, message));
    }
    dense.device().expect_home(OP, &[values])?;
    if !dense.device().same(matrix.device()) {
        return Err(Error::MixedDevices { op: OP });
    }
    let out = multiply(values, matrix.by_rows(), dense, EmptyRow::Zero)?;
    Ok(record(out, [values, dense], |[at_values, at_dense]| {
        let dense = at_values.then(|| dense.detach());
        let values = at_dense.then(|| values.detach());
        let matrix = matrix.clone();
        move |gradient: &Tensor| {
            let at_values = dense.map(|dense| dots(&matrix, gradient, &dense)).transpose()?;
            let at_dense = match values {
                Some(values) => Some(multiply(&values, &*matrix.by_columns()?, gradient, EmptyRow::Zero)?),
                None => None,
            };
            Ok([at_values, at_dense])
        }
    }))
}

/// What a row without non-zeros gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum EmptyRow {
    Zero,
    NotANumber,
}

/// One row for each row (or column) of the sparse matrix.
pub(in crate::ops) fn multiply(
    values: &Tensor,
    side: &Side,
    dense: &Tensor,
    empty: EmptyRow,
) -> Result<Tensor> {
    let (dense_rows, width) = dense.matrix(OP, "dense")?;
    let windows = match dense.device().backend() {
        Backend::Cpu(_) => std::iter::once(0..dense_rows).collect(),
        Backend::Gpu(gpu) => gpu.windows(dense_rows, width)?,
    };
    let ranges = side.offsets.windows(2).map(|pair| {
        let number = u32::from(empty == EmptyRow::Zero || pair[0] < pair[1]);
        (pair[0]..pair[1], number)
    });
    // Sums over windows of the table are added window by window, so their rows cannot be cut without changing bits.
    let (width, most) = if windows.len() == 1 {
        (width, ragged::bindable(dense.device(), 1))
    } else {
        (usize::MAX, usize::MAX)
    };
    let plan = Plan::new(ranges.collect(), width, most);
    match &plan.blocks {
        None => pass(values, side, dense, &windows, &plan.ranges),
        Some(blocks) => {
            reduce(&pass(values, side, dense, &windows, blocks)?, &plan.ranges, 1, Reduction::Mean)
        }
    }
}

/// One row for each item, a range of non-zeros.
fn pass(
    values: &Tensor,
    side: &Side,
    dense: &Tensor,
    windows: &[Range<usize>],
    items: &[Item],
) -> Result<Tensor> {
    let (_, width) = dense.matrix(OP, "dense")?;
    match dense.device().backend() {
        Backend::Cpu(cpu) => {
            let product = cpu::sparse::Product {
                values: values.host(OP)?,
                places: side.places.as_ref().map(Ids::values),
                indices: side.indices.values(),
                dense: dense.host(OP)?,
                width,
            };
            let fill = |out: &mut [f32]| cpu::sparse::multiply(cpu, &product, items, out);
            Ok(cpu_tensor(dense.device(), cpu, &[items.len(), width], fill))
        }
        Backend::Gpu(gpu) => pass_on(gpu, values, side, dense, windows, items),
    }
}

fn pass_on(
    gpu: &Gpu,
    values: &Tensor,
    side: &Side,
    dense: &Tensor,
    windows: &[Range<usize>],
    items: &[Item],
) -> Result<Tensor> {
    let (_, width) = dense.matrix(OP, "dense")?;
    // Values that one invocation computes.
    let vector = if width.is_multiple_of(4) { 4 } else { 1 };
    let out = gpu.buffer(items.len() * width)?;
    let list = ragged::upload(dense.device(), items)?;
    // In the order of the non-zeros, so that a range of them can be bound.
    let placed = match &side.places {
        Some(places) => Some(gather(gpu, OP, &values.reshape(&[values.len(), 1])?, places)?),
        None => None,
    };
    let values = placed.as_ref().unwrap_or(values);
    let (ranges, numbers) = (ragged::rows_of(items), ragged::one_each(items.len()));
    let (inputs, outputs) = (Span::new(&ranges, 1), Span::new(&numbers, width));
    for run in ragged::runs(gpu, &[&inputs, &outputs])? {
        let count = run.len() * width / vector;
        let (factors, first_nonzero) = inputs.window(values.buffer(OP)?, &run);
        let (indices, _) = side.indices.part(OP, &inputs.touched(&run), 1)?;
        let (list, first_item) = list.part(OP, &run, 4)?;
        let nonzeros = inputs.touched(&run).len() as f64;
        for (number, window) in windows.iter().enumerate() {
            // The results begin where the list does.
            let (to, _) = outputs.window(&out, &run);
            gpu.launch(&Launch {
                kernel: kernel(vector),
                parameters: &[
                    count as u32,
                    (width / vector) as u32,
                    (run.start - first_item) as u32,
                    first_nonzero,
                    window.start as u32,
                    window.len() as u32,
                    ragged::BLOCK as u32,
                    number as u32,
                    f32::NAN.to_bits(),
                ],
                buffers: &[factors, indices, list, dense.window(OP, window)?, to],
                groups: (count as u64).div_ceil(ELEMENTS),
                cost: Cost { flops: 2.0 * nonzeros * width as f64, bytes: 4.0 * nonzeros * width as f64 },
            })?;
        }
    }
    Ok(Tensor::from_gpu(dense.device(), &[items.len(), width], out))
}

fn kernel(vector: usize) -> Kernel {
    Kernel::new("csr_matmul", &[("VECTOR", vector as u32)])
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    [1, 4].map(kernel).to_vec()
}
