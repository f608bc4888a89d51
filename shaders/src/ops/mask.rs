//! Putting a constant where a mask says so.

use super::{cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// `x` where `keep`, of the same shape, is not 0, and `fill` where it is 0. Nothing of what is masked gets through, not
/// even not-a-number, and its gradient is 0.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn mask(x: &Tensor, keep: &Tensor, fill: f32) -> Result<Tensor> {
    keep.expect_like("mask", "keep", x)?;
    masked("mask", x, keep, fill, None)
}

/// Row i of `x` `[rows, columns]` where value i of `keep` `[rows]` is not 0, and a row of `fill` where it is 0, as
/// [`mask`].
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn mask_rows(x: &Tensor, keep: &Tensor, fill: f32) -> Result<Tensor> {
    let (rows, columns) = x.matrix("mask_rows", "x")?;
    keep.expect_vector("mask_rows", "keep", rows)?;
    masked("mask_rows", x, keep, fill, Some(columns))
}

/// One value of `x` for each value of `keep`, or a row of this many columns.
fn masked(op: &'static str, x: &Tensor, keep: &Tensor, fill: f32, columns: Option<usize>) -> Result<Tensor> {
    x.device().expect_home(op, &[keep])?;
    let out = match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, kept) = (x.host(op)?, keep.host(op)?);
            cpu_tensor(x.device(), cpu, x.shape(), |out| match columns {
                None => cpu::elementwise::mask(cpu, values, kept, fill, out),
                Some(columns) => cpu::elementwise::mask_rows(cpu, values, columns, kept, fill, out),
            })
        }
        Backend::Gpu(gpu) => {
            let words = [columns.unwrap_or(1) as u32, fill.to_bits()];
            elementwise(gpu, op, &Kernel::new("mask", &[]), &words, &[x, keep], &[])?
        }
    };
    let keep = keep.detach();
    Ok(record(out, [x], |_| move |gradient: &Tensor| Ok([Some(masked(op, gradient, &keep, 0.0, columns)?)])))
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("mask", &[])]
}
