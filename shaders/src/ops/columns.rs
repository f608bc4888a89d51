//! Matrices side by side, and parts of them.

use std::ops::Range;

use super::{ELEMENTS, cpu_tensor};
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Cost, Gpu, GpuBuffer, Launch};
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// The columns of all `parts` side by side: `[rows, columns]` each, `[rows, sum of columns]` together.
///
/// # Errors
/// There are no parts, or their rows or devices differ; the device's errors.
pub fn concat_columns<const N: usize>(parts: [&Tensor; N]) -> Result<Tensor> {
    const OP: &str = "concat_columns";
    let Some(first) = parts.first() else { return Err(Error::shape(OP, "there are no parts")) };
    let (rows, _) = first.matrix(OP, "parts")?;
    first.device().expect_home(OP, &parts)?;
    let mut places = Vec::with_capacity(N);
    let mut width = 0;
    for part in parts {
        let (part_rows, columns) = part.matrix(OP, "parts")?;
        if part_rows != rows {
            let message = format!("a part has {part_rows} rows, the first {rows}");
            return Err(Error::shape(OP, message));
        }
        places.push(width..width + columns);
        width += columns;
    }
    let copies = |place: &Range<usize>| Copy { to: place.clone(), shift: 0, width };
    let out = match first.device().backend() {
        Backend::Cpu(cpu) => {
            let values = parts.iter().map(|part| part.host(OP)).collect::<Result<Vec<_>>>()?;
            cpu_tensor(first.device(), cpu, &[rows, width], |out| {
                for (values, place) in values.iter().zip(&places) {
                    cpu::columns::copy(cpu, values, place.len(), &copies(place), out);
                }
            })
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(rows * width)?;
            for (part, place) in parts.iter().zip(&places) {
                launch(gpu, part, &copies(place), &out)?;
            }
            Tensor::from_gpu(first.device(), &[rows, width], out)
        }
    };
    Ok(record(out, parts, |wanted| {
        move |gradient: &Tensor| {
            let mut slopes = [const { None }; N];
            for ((slope, place), _) in
                slopes.iter_mut().zip(&places).zip(wanted).filter(|(_, wanted)| *wanted)
            {
                *slope = Some(slice_columns(gradient, place.clone())?);
            }
            Ok(slopes)
        }
    }))
}

/// Columns `columns` of `x` `[rows, all]`, as `[rows, columns]`.
///
/// # Errors
/// `x` does not have these columns; the device's errors.
pub fn slice_columns(x: &Tensor, columns: Range<usize>) -> Result<Tensor> {
    const OP: &str = "slice_columns";
    let (_, all) = x.matrix(OP, "x")?;
    if columns.start > columns.end || columns.end > all {
        return Err(Error::shape(OP, format!("columns {columns:?} of a matrix of {all} columns")));
    }
    let width = columns.len();
    let out = copied(x, &Copy { to: 0..width, shift: columns.start as isize, width })?;
    Ok(record(out, [x], |_| {
        move |gradient: &Tensor| {
            // Zeros around the gradient of the part.
            let copy = Copy { to: 0..all, shift: -(columns.start as isize), width: all };
            Ok([Some(copied(gradient, &copy)?)])
        }
    }))
}

/// Which columns go where: column `shift` of the source to the first of `to`, and so on; 0 where the source has no column.
pub(crate) struct Copy {
    /// Columns of the result that are written.
    pub(crate) to: Range<usize>,
    pub(crate) shift: isize,
    /// Columns of the result.
    pub(crate) width: usize,
}

fn copied(x: &Tensor, copy: &Copy) -> Result<Tensor> {
    const OP: &str = "slice_columns";
    let (rows, columns) = x.matrix(OP, "x")?;
    let shape = [rows, copy.width];
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            let fill = |out: &mut [f32]| cpu::columns::copy(cpu, values, columns, copy, out);
            Ok(cpu_tensor(x.device(), cpu, &shape, fill))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(rows * copy.width)?;
            launch(gpu, x, copy, &out)?;
            Ok(Tensor::from_gpu(x.device(), &shape, out))
        }
    }
}

fn launch(gpu: &Gpu, x: &Tensor, copy: &Copy, out: &GpuBuffer) -> Result<()> {
    const OP: &str = "columns";
    let (rows, columns) = x.matrix(OP, "x")?;
    for window in gpu.windows(rows, columns.max(copy.width))? {
        let count = window.len() * copy.to.len();
        gpu.launch(&Launch {
            kernel: Kernel::new(OP, &[]),
            parameters: &[
                count as u32,
                copy.to.len() as u32,
                columns as u32,
                copy.width as u32,
                copy.to.start as u32,
                // Wraps below zero, to columns that no source has.
                copy.shift as u32,
            ],
            buffers: &[x.window(OP, &window)?, out.rows(&window, copy.width)],
            groups: (count as u64).div_ceil(ELEMENTS),
            cost: Cost { flops: count as f64, bytes: 8.0 * count as f64 },
        })?;
    }
    Ok(())
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("columns", &[])]
}
