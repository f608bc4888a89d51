//! Parts of matrix products. An adapter may bind less than a whole operand or result: a product is cut into pieces along
//! its rows, its columns, its inner sums or its batch, whichever axis is the slowest of the operand that is too large. A
//! sum that is cut goes on where the piece before left it, so that pieces do not show in the bits.

use std::ops::Range;

use super::super::{Layout, Product};
use crate::element::Element;
use crate::error::{DeviceError, Result};
use crate::gpu::{Binding, Gpu, GpuBuffer};
use crate::ops::Activation;

/// An operand of a piece.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    binding: Binding<'a>,
    pub(super) element: Element,
    /// Whether it is contiguous along the inner axis; otherwise along its rows (or columns).
    pub(super) along_k: bool,
    /// Values from one row (or step of the inner axis) to the next.
    stride: usize,
    /// First value.
    offset: usize,
    /// Values from one matrix of the batch to the next.
    batch: usize,
    /// Whether it can be read in vectors of four along its contiguous axis.
    pub(super) fours: bool,
}

/// One launch: `batches` products of `size` (rows, columns, length of the sums).
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) size: [usize; 3],
    pub(super) batches: usize,
    pub(super) a: Side<'a>,
    pub(super) b: Side<'a>,
    c: Binding<'a>,
    /// Values from one row and from one column of the result to the next, its first value, and values of one result.
    c_strides: [usize; 2],
    c_offset: usize,
    c_batch: usize,
    /// The part of the bias for the columns, by its first value.
    bias: Option<(Binding<'a>, usize)>,
    pub(super) activation: Activation,
    /// Whether the result holds the sums over an earlier part of the inner axis.
    pub(super) continued: bool,
    /// Whether rows of the result are columns of the product that was asked for.
    pub(super) swapped: bool,
}

/// Cuts a product whose result goes to `out`.
pub(super) fn pieces<'a>(
    gpu: &Gpu,
    op: &'static str,
    product: &Product<'a>,
    out: &'a GpuBuffer,
) -> Result<Vec<Piece<'a>>> {
    let cuts = Cuts::of(gpu, product)?;
    let mut pieces = Vec::new();
    for batches in &cuts.batches {
        for rows in &cuts.rows {
            for columns in &cuts.columns {
                for depth in &cuts.depth {
                    pieces.push(piece(op, product, out, [batches, rows, columns, depth])?);
                }
            }
        }
    }
    Ok(pieces)
}

/// Where the axes are cut.
struct Cuts {
    batches: Vec<Range<usize>>,
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
    depth: Vec<Range<usize>>,
}

impl Cuts {
    fn of(gpu: &Gpu, product: &Product<'_>) -> Result<Cuts, DeviceError> {
        let Product { b, layout, size: [m, n, k], batch, .. } = *product;
        let whole = |size: usize| std::iter::once(0..size).collect::<Vec<_>>();
        if batch.count != 1 {
            let widest = batch.a.max(batch.b).max(m * n);
            let batches = gpu.windows(batch.count, widest)?;
            return Ok(Cuts { batches, rows: whole(m), columns: whole(n), depth: whole(k) });
        }
        // In units of f32 values.
        let b_width = |values: usize| (values * b.element().bytes()).div_ceil(4);
        let (rows, columns, depth) = match layout {
            Layout::NN => (gpu.windows(m, k.max(n))?, whole(n), gpu.windows(k, b_width(n))?),
            Layout::NT => (gpu.windows(m, k.max(n))?, gpu.windows(n, b_width(k))?, whole(k)),
            Layout::TN => (gpu.windows(m, n)?, whole(n), gpu.windows(k, m.max(b_width(n)))?),
        };
        Ok(Cuts { batches: whole(1), rows, columns, depth })
    }
}

fn piece<'a>(
    op: &'static str,
    product: &Product<'a>,
    out: &'a GpuBuffer,
    [batches, rows, columns, depth]: [&Range<usize>; 4],
) -> Result<Piece<'a>> {
    let Product { a, b, layout, size: [m, n, k], batch, bias, activation } = *product;
    let one = batch.count == 1;
    // What is cut is the slowest axis in memory: matrices of a batch, else rows of what is stored.
    let a_along_k = layout != Layout::TN;
    let a_binding = match (one, a_along_k) {
        (false, _) if batch.a == 0 => a.binding(op)?,
        (false, _) => a.buffer(op)?.rows(batches, batch.a),
        (true, true) => a.buffer(op)?.rows(rows, k),
        (true, false) => a.buffer(op)?.rows(depth, m),
    };
    let b_along_k = layout == Layout::NT;
    let b_binding = match (one, b_along_k) {
        (false, _) if batch.b == 0 => b.weight_binding(op)?,
        (false, _) => b.buffer(op)?.rows(batches, batch.b),
        (true, true) => b.weight_window(op, columns)?,
        (true, false) => b.weight_window(op, depth)?,
    };
    let (a_stride, b_stride) = (if a_along_k { k } else { m }, if b_along_k { k } else { n });
    let four = |size: usize| size.is_multiple_of(4);
    let (c, c_batch) = if one { (out.rows(rows, n), 0) } else { (out.rows(batches, m * n), m * n) };
    let last = depth.end == k;
    let bias = bias.filter(|_| last).map(|bias| bias.binding(op).map(|bias| (bias, columns.start)));
    Ok(Piece {
        size: [rows.len(), columns.len(), depth.len()],
        batches: batches.len(),
        a: Side {
            binding: a_binding,
            element: a.element(),
            along_k: a_along_k,
            stride: a_stride,
            offset: if a_along_k { depth.start } else { rows.start },
            batch: batch.a,
            fours: four(a_stride),
        },
        b: Side {
            binding: b_binding,
            element: b.element(),
            along_k: b_along_k,
            stride: b_stride,
            offset: 0,
            batch: batch.b,
            fours: four(b_stride),
        },
        c,
        c_strides: [n, 1],
        c_offset: columns.start,
        c_batch,
        bias: bias.transpose()?,
        activation: if last { activation } else { Activation::None },
        continued: depth.start != 0,
        swapped: false,
    })
}

impl<'a> Piece<'a> {
    /// The transposed product: columns and rows change places.
    pub(super) fn swapped(&self) -> Piece<'a> {
        let [m, n, k] = self.size;
        let [row, column] = self.c_strides;
        Piece { size: [n, m, k], a: self.b, b: self.a, c_strides: [column, row], swapped: true, ..*self }
    }

    /// Whether operands and result can be read in vectors of four.
    pub(super) fn fours(&self) -> bool {
        self.a.fours && self.b.fours && self.c_fours()
    }

    /// Whether rows of the result can be written in vectors of four.
    pub(super) fn c_fours(&self) -> bool {
        !self.swapped && self.c_strides[0].is_multiple_of(4)
    }

    pub(super) fn biased(&self) -> bool {
        self.bias.is_some()
    }

    /// Multiply-adds.
    pub(super) fn work(&self) -> f64 {
        self.size.iter().fold(self.batches as f64, |work, size| work * *size as f64)
    }

    /// The parameters of the kernels, with `groups` workgroups for one product.
    pub(super) fn words(&self, groups: usize) -> Vec<u32> {
        let Piece { size: [m, n, k], a, b, c_strides: [c_row, c_column], .. } = *self;
        let bias = self.bias.map_or(0, |(_, first)| first);
        let sizes = [m, n, k, a.stride, b.stride, c_row, c_column];
        let rest = [a.offset, b.offset, self.c_offset, bias, groups.max(1), a.batch, b.batch, self.c_batch];
        sizes.into_iter().chain(rest).map(|word| word as u32).collect()
    }

    /// What the kernels bind.
    pub(super) fn buffers(&self) -> Vec<Binding<'a>> {
        let operands = [self.a.binding, self.b.binding, self.c];
        operands.into_iter().chain(self.bias.map(|(bias, _)| bias)).collect()
    }
}
