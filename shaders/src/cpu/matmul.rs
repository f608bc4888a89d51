//! Matrix products with a fused bias and activation, in blocks of rows.
//!
//! A row's bits must not depend on the rows around it. The tuned crate computes an element as a chain over k whose cut
//! and order do not depend on the number of rows, if chains are at most [`CHAIN`] long, there are at least
//! [`FEWEST_ROWS`] rows and more than [`NARROW`] columns. Longer chains are cut here, fewer rows are padded here, and
//! narrow results (classifier heads) take dot products of our own.

use super::gemm::{self, View};
use super::simd::{dot, vectorized};
use super::{Cpu, CpuBuffer, math};
use crate::ops::{Activation, Layout};

/// Longest sum that the crate is asked for at once.
const CHAIN: usize = 512;
/// Fewest rows of a call.
const FEWEST_ROWS: usize = 32;
/// Most rows of a task: they stay in the second-level cache while the panels pass by.
const MOST_ROWS: usize = 256;
/// Results of at most this many columns are computed by dot products.
const NARROW: usize = 16;

/// Columns of a packed panel: a multiple of the tile of the crate on every processor.
const PANEL: usize = 64;
/// Rows from which on packing pays.
const PACKED_ROWS: usize = 48;

/// Operands of `out = activation(op(a) op(b) + bias)`.
pub(crate) struct Product<'a> {
    pub(crate) layout: Layout,
    /// Rows and columns of the result, and the length of the sums.
    pub(crate) size: [usize; 3],
    pub(crate) a: &'a [f32],
    pub(crate) b: &'a [f32],
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Activation,
}

impl<'a> Product<'a> {
    /// `a` from row `first` of the result on, as `[m, k]`.
    fn left(&self, first: usize) -> View<'a> {
        let [m, _, k] = self.size;
        match self.layout {
            Layout::NN | Layout::NT => View { data: &self.a[first * k..], row_stride: k, column_stride: 1 },
            Layout::TN => View { data: &self.a[first..], row_stride: 1, column_stride: m },
        }
    }

    /// `b` as `[k, n]`.
    fn right(&self) -> View<'a> {
        let [_, n, k] = self.size;
        match self.layout {
            Layout::NN | Layout::TN => View { data: self.b, row_stride: n, column_stride: 1 },
            Layout::NT => View { data: self.b, row_stride: 1, column_stride: k },
        }
    }

    fn finish(&self, rows: &mut [f32]) {
        let n = self.size[1];
        vectorized(
            #[inline(always)]
            || {
                if let Some(bias) = self.bias {
                    for row in rows.chunks_exact_mut(n) {
                        row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                    }
                }
                math::activate(self.activation, rows);
            },
        );
    }
}

/// Computes the product.
pub(crate) fn multiply(cpu: &Cpu, product: &Product<'_>, out: &mut [f32]) {
    let [m, n, k] = product.size;
    if k == 0 {
        out.fill(0.0);
        product.finish(out);
    } else if n <= NARROW || k <= 2 {
        narrow(cpu, product, out);
    } else {
        let packed = (m >= PACKED_ROWS).then(|| pack(cpu, product));
        cpu.blocks(out, n, n * k, FEWEST_ROWS, MOST_ROWS, |first, rows| {
            wide(product, packed.as_ref().map(CpuBuffer::values), first, rows);
            product.finish(rows);
        });
    }
}

/// `b` in panels of [`PANEL`] columns, each `[k, PANEL]`: the layout that the crate would otherwise make for every block
/// of rows.
fn pack(cpu: &Cpu, product: &Product<'_>) -> CpuBuffer {
    /// Steps of k that are copied together, so that the written lines stay in the first-level cache.
    const STEPS: usize = 16;
    let [_, n, k] = product.size;
    let b = product.right();
    let mut packed = cpu.buffer(n.div_ceil(PANEL) * PANEL * k);
    cpu.rows(packed.values_mut(), PANEL * k, PANEL * k, 1, |first, panels| {
        for (panel, to) in panels.chunks_exact_mut(PANEL * k).enumerate() {
            let column = (first + panel) * PANEL;
            let count = PANEL.min(n - column);
            for (block, to) in to.chunks_mut(STEPS * PANEL).enumerate() {
                if b.column_stride == 1 {
                    for (step, to) in to.chunks_exact_mut(PANEL).enumerate() {
                        let from = (block * STEPS + step) * b.row_stride + column;
                        to[..count].copy_from_slice(&b.data[from..from + count]);
                    }
                    continue;
                }
                let steps = to.len() / PANEL;
                for j in 0..count {
                    let from = &b.data[(column + j) * b.column_stride + block * STEPS..][..steps];
                    for (step, value) in from.iter().enumerate() {
                        to[step * PANEL + j] = *value;
                    }
                }
            }
        }
    });
    packed
}

/// The rows of the result from `first` on, by the tuned crate.
fn wide(product: &Product<'_>, packed: Option<&[f32]>, first: usize, out: &mut [f32]) {
    let [_, n, k] = product.size;
    let rows = out.len() / n;
    let left = product.left(first);
    if rows >= FEWEST_ROWS {
        return chained([rows, n, k], left, product.right(), packed, out);
    }
    // Pad with zeros to the fewest rows that take the common way through the crate.
    let mut padded = vec![0.0; FEWEST_ROWS * k];
    for (i, row) in padded.chunks_exact_mut(k).take(rows).enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value = left.data[i * left.row_stride + j * left.column_stride];
        }
    }
    let mut result = vec![0.0; FEWEST_ROWS * n];
    let left = View { data: &padded, row_stride: k, column_stride: 1 };
    chained([FEWEST_ROWS, n, k], left, product.right(), packed, &mut result);
    out.copy_from_slice(&result[..rows * n]);
}

/// Cuts the sums into chains, and the columns into panels if they are packed.
fn chained([m, n, k]: [usize; 3], a: View<'_>, b: View<'_>, packed: Option<&[f32]>, out: &mut [f32]) {
    for start in (0..k).step_by(CHAIN) {
        let length = CHAIN.min(k - start);
        let a = View { data: &a.data[start * a.column_stride..], ..a };
        match packed {
            None => {
                let b = View { data: &b.data[start * b.row_stride..], ..b };
                gemm::multiply([m, n, length], a, b, out, n, start > 0);
            }
            Some(packed) => {
                for (panel, column) in packed.chunks_exact(PANEL * k).zip((0..n).step_by(PANEL)) {
                    let b = View { data: &panel[start * PANEL..], row_stride: PANEL, column_stride: 1 };
                    let columns = PANEL.min(n - column);
                    gemm::multiply([m, columns, length], a, b, &mut out[column..], n, start > 0);
                }
            }
        }
    }
}

/// Few columns, or very short sums: dot products over rows that are gathered first.
fn narrow(cpu: &Cpu, product: &Product<'_>, out: &mut [f32]) {
    let [_, n, k] = product.size;
    let right = product.right();
    let gathered: Vec<f32>;
    let columns: &[f32] = if right.row_stride == 1 && right.column_stride == k {
        right.data
    } else {
        gathered = (0..n * k)
            .map(|at| right.data[(at % k) * right.row_stride + (at / k) * right.column_stride])
            .collect();
        &gathered
    };
    cpu.rows(out, n, n * k, 1, |first, rows| {
        let left = product.left(first);
        let mut scratch = Vec::new();
        for (i, out_row) in rows.chunks_exact_mut(n).enumerate() {
            let row = if left.column_stride == 1 {
                &left.data[i * left.row_stride..][..k]
            } else {
                scratch.clear();
                scratch.extend((0..k).map(|j| left.data[i * left.row_stride + j * left.column_stride]));
                &scratch
            };
            vectorized(
                #[inline(always)]
                || {
                    for (value, column) in out_row.iter_mut().zip(columns.chunks_exact(k)) {
                        *value = dot(row, column);
                    }
                },
            );
        }
        product.finish(rows);
    });
}
