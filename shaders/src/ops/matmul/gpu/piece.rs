//! Parts of matrix products. An adapter may bind less than a whole operand or result: a product is cut into pieces along
//! its rows, its columns, its inner sums or its batch, whichever axis is the slowest of the operand that is too large. A
//! sum that is cut goes on where the piece before left it, so that pieces do not show in the bits.

use std::ops::Range;

use super::super::{Layout, Product};
use crate::element::Element;
use crate::error::{DeviceError, Result};
use crate::gpu::{Binding, Gpu, GpuBuffer, WINDOW_ROWS};
use crate::ops::Activation;

/// An operand of a piece.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) binding: Binding<'a>,
    pub(super) element: Element,
    /// Whether it is contiguous along the inner axis; otherwise along its rows (or columns).
    pub(super) along_k: bool,
    /// Values from one row (or step of the inner axis) to the next.
    pub(super) stride: usize,
    /// First value.
    pub(super) offset: usize,
    /// Values from one matrix of the batch to the next.
    pub(super) batch: usize,
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
            let of_each = batch.a.max(batch.b).max(m * n);
            let shared = if batch.a == 0 { m * k } else { k * n };
            let fits = (batch.a != 0 && batch.b != 0) || cut(gpu, 1, shared, false).is_ok();
            if fits && let Ok(batches) = cut(gpu, batch.count, of_each, false) {
                return Ok(Cuts { batches, rows: whole(m), columns: whole(n), depth: whole(k) });
            }
        }
        // Rows of 16-bit values are bound as they are, in units of f32 values.
        let packed = b.element() != Element::F32;
        let b_width = |values: usize| (values * b.element().bytes()).div_ceil(4);
        let (rows, columns, depth) = match layout {
            Layout::NN => (cut(gpu, m, k.max(n), false)?, whole(n), cut(gpu, k, b_width(n), packed)?),
            Layout::NT => (cut(gpu, m, k.max(n), false)?, cut(gpu, n, b_width(k), packed)?, whole(k)),
            Layout::TN => (cut(gpu, m, n, false)?, whole(n), cut(gpu, k, m.max(n), false)?),
        };
        let batches = (0..batch.count).map(|one| one..one + 1).collect();
        Ok(Cuts { batches, rows, columns, depth })
    }
}

/// Bindings start at multiples of this many values.
const ALIGNED: usize = WINDOW_ROWS;

/// Cuts `size` rows of `width` f32 values into ranges that fit into one binding, wherever they begin: at multiples of
/// [`WINDOW_ROWS`] rows if that many fit, as they must if the rows are `packed`, else anywhere.
fn cut(gpu: &Gpu, size: usize, width: usize, packed: bool) -> Result<Vec<Range<usize>>, DeviceError> {
    let limit = gpu.largest_binding() as usize / 16 * 4;
    let most = limit.saturating_sub(ALIGNED) / width.max(1);
    if size * width <= limit.saturating_sub(ALIGNED) {
        return Ok(std::iter::once(0..size).collect());
    }
    let most = if most < WINDOW_ROWS && !packed { most } else { most / WINDOW_ROWS * WINDOW_ROWS };
    if most == 0 {
        return gpu.windows(size, width);
    }
    Ok((0..size).step_by(most).map(|first| first..size.min(first + most)).collect())
}

/// Values `values` of a buffer as a kernel sees them, and where they begin in that.
fn values(buffer: &GpuBuffer, values: Range<usize>) -> (Binding<'_>, usize) {
    let first = values.start / ALIGNED * ALIGNED;
    (buffer.rows(&(first..values.end), 1), values.start - first)
}

fn piece<'a>(
    op: &'static str,
    product: &Product<'a>,
    out: &'a GpuBuffer,
    [batches, rows, columns, depth]: [&Range<usize>; 4],
) -> Result<Piece<'a>> {
    let Product { a, b, layout, size: [m, n, k], batch, bias, activation } = *product;
    // What is cut is the slowest axis in memory: matrices of a batch, else rows of what is stored.
    let part = |matrix: usize, rows: &Range<usize>, stride: usize| {
        let last = batches.end.saturating_sub(1).max(batches.start);
        batches.start * matrix + rows.start * stride..last * matrix + rows.end * stride
    };
    let (a_along_k, b_along_k) = (layout != Layout::TN, layout == Layout::NT);
    let (a_rows, a_stride, a_inner) = if a_along_k { (rows, k, depth) } else { (depth, m, rows) };
    let (b_rows, b_stride) = if b_along_k { (columns, k) } else { (depth, n) };
    let (a_binding, a_start) = values(a.buffer(op)?, part(batch.a, a_rows, a_stride));
    let (b_binding, b_start) = match b.element() {
        Element::F32 => values(b.buffer(op)?, part(batch.b, b_rows, b_stride)),
        Element::F16 | Element::Bf16 => (b.weight_window(op, b_rows)?, 0),
    };
    let (c, c_start) = values(out, part(m * n, rows, n));
    let four = |size: usize| size.is_multiple_of(4);
    let (a_offset, c_offset) = (a_start + a_inner.start, c_start + columns.start);
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
            offset: a_offset,
            batch: batch.a,
            fours: four(a_stride) && four(a_offset),
        },
        b: Side {
            binding: b_binding,
            element: b.element(),
            along_k: b_along_k,
            stride: b_stride,
            offset: b_start,
            batch: batch.b,
            fours: four(b_stride) && four(b_start),
        },
        c,
        c_strides: [n, 1],
        c_offset,
        c_batch: if batch.count == 1 { 0 } else { m * n },
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
        !self.swapped && self.c_strides[0].is_multiple_of(4) && self.c_offset.is_multiple_of(4)
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
