//! Dot products of rows of two dense matrices at the non-zeros of a sparse one: the gradient at its values.

use super::Csr;
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Cost, Launch};
use crate::kernels::Kernel;
use crate::ops::cpu_tensor;
use crate::ops::ragged::{self, Span};
use crate::tensor::Tensor;

const OP: &str = "csr_dots";

/// For each non-zero of `matrix`, the dot product of its row of `left` `[rows, width]` and of the row of `right`
/// `[columns, width]` that belongs to its column.
pub(in crate::ops) fn dots(matrix: &Csr, left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let (_, width) = left.matrix(OP, "left")?;
    let (right_rows, _) = right.matrix(OP, "right")?;
    let (rows, columns) = (matrix.row_of(), &matrix.by_rows().indices);
    let shape = [matrix.nonzeros()];
    match left.device().backend() {
        Backend::Cpu(cpu) => {
            let (a, b) = (left.host(OP)?, right.host(OP)?);
            let fill =
                |out: &mut [f32]| cpu::sparse::dots(cpu, [a, b], width, rows.values(), columns.values(), out);
            Ok(cpu_tensor(left.device(), cpu, &shape, fill))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(shape[0])?;
            let ranges: Vec<_> = rows.values().iter().map(|&row| row as usize..row as usize + 1).collect();
            let numbers = ragged::one_each(shape[0]);
            let (lefts, outputs) = (Span::new(&ranges, width), Span::new(&numbers, 1));
            for run in ragged::runs(gpu, &[&lefts, &outputs])? {
                let (from, first_left) = lefts.window(left.buffer(OP)?, &run);
                let (to, first_out) = outputs.window(&out, &run);
                // The lists begin where the results do.
                let ((rows, _), (columns, _)) = (rows.part(OP, &run, 1)?, columns.part(OP, &run, 1)?);
                for window in gpu.windows(right_rows, width)? {
                    gpu.launch(&Launch {
                        kernel: Kernel::new("csr_dots", &[]),
                        parameters: &[
                            width as u32,
                            run.start as u32 - first_out,
                            first_left,
                            0,
                            window.start as u32,
                            window.len() as u32,
                        ],
                        buffers: &[rows, columns, from, right.window(OP, &window)?, to],
                        groups: run.len() as u64,
                        cost: Cost {
                            flops: 2.0 * (run.len() * width) as f64,
                            bytes: 8.0 * (run.len() * width) as f64,
                        },
                    })?;
                }
            }
            Ok(Tensor::from_gpu(left.device(), &shape, out))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("csr_dots", &[])]
}
