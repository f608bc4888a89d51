//! Matrix products with a fused bias and activation.
//!
//! A row's bits must not depend on the rows around it, nor on threads. The tuned crate computes an element as a chain
//! over k whose cut and order do not depend on the number of rows, if chains are at most [`CHAIN`] long, there are at
//! least two rows, and neighbours in a row of the right operand are neighbours in memory: in panels, or in place. Longer
//! chains are cut here; narrow results (classifier heads) take dot products of our own. Large products are cut into
//! blocks of rows, products of few rows into panels of columns, batches into products.

use std::borrow::Cow;

use super::gemm::{self, View};
use super::panels::{Kept, PANEL, Right, Stored};
use super::simd::{dot, vectorized};
use super::{Cpu, math};
use crate::ops::{Activation, Batch, Layout};

/// Longest sum that the crate is asked for at once.
const CHAIN: usize = 512;
/// Blocks of rows hold a multiple of this many: a multiple of the tile of the crate on most processors.
const ROWS: usize = 12;
/// Most rows of a task: they stay in the second-level cache while the panels pass by.
const MOST_ROWS: usize = 252;
/// Most rows for which the right operand is read in place, if its columns are neighbours in memory.
const DIRECT_ROWS: usize = 256;
/// Most rows for which panels of a weight are kept.
const KEPT_ROWS: usize = 512;
/// Products of fewer rows are cut along their columns.
const FEW_ROWS: usize = 48;
/// Results of at most this many columns are computed by dot products.
const NARROW: usize = 16;

/// Operands of `out = activation(op(a) op(b) + bias)`.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) layout: Layout,
    /// Rows and columns of the result, and the length of the sums.
    pub(crate) size: [usize; 3],
    pub(crate) batch: Batch,
    pub(crate) a: &'a [f32],
    pub(crate) b: Stored<'a>,
    /// Where panels of `b` are kept.
    pub(crate) kept: Option<&'a Kept>,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Activation,
}

impl<'a> Product<'a> {
    /// Product number `index` of the batch.
    fn at(&self, index: usize) -> Product<'a> {
        let b = match self.b {
            Stored::F32(data) => Stored::F32(&data[index * self.batch.b..]),
            Stored::F16(data) => Stored::F16(&data[index * self.batch.b..]),
            Stored::Bf16(data) => Stored::Bf16(&data[index * self.batch.b..]),
        };
        let batch = Batch { count: 1, a: 0, b: 0 };
        Product { a: &self.a[index * self.batch.a..], b, batch, kept: None, ..*self }
    }

    /// `a` from row `first` of the result on, as `[m, k]`.
    fn left(&self, first: usize) -> View<'a> {
        let [m, _, k] = self.size;
        match self.layout {
            Layout::NN | Layout::NT => View { data: &self.a[first * k..], row_stride: k, column_stride: 1 },
            Layout::TN => View { data: &self.a[first..], row_stride: 1, column_stride: m },
        }
    }

    /// `b` as `[k, n]`.
    fn right(&self) -> Right<'a> {
        let [_, n, k] = self.size;
        let (row_stride, column_stride) = match self.layout {
            Layout::NN | Layout::TN => (n, 1),
            Layout::NT => (1, k),
        };
        Right { stored: self.b, size: [k, n], row_stride, column_stride }
    }

    /// Where to read `b`. A weight is used again and again, other operands once: if there are so few rows that making
    /// panels takes a good part of the time, panels are kept at the second use. Not under a memory limit, whose books
    /// must not depend on what ran before; like other scratch memory, kept panels are not on the books. Nor for weights of
    /// 16 bits, which are stored so because there is no room for them in f32.
    fn source(&self, cpu: &Cpu) -> Source<'a> {
        let right = self.right();
        if let Some(kept) = self.kept {
            let wide = matches!(self.b, Stored::F32(_));
            let few = self.size[0] <= KEPT_ROWS && cpu.memory().limit.is_none();
            if wide && few && kept.used_before() {
                kept.keep(&right, right.packed(cpu));
            }
            if let Some(panels) = kept.panels(&right) {
                return Source::Panels(panels);
            }
        }
        match right.stored {
            Stored::F32(data) if right.column_stride == 1 => Source::Direct(data),
            _ => Source::Stored,
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

/// Computes the products.
pub(crate) fn multiply(cpu: &Cpu, product: &Product<'_>, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let [m, n, k] = product.size;
    if product.batch.count == 1 {
        return single(cpu, product, out);
    }
    cpu.rows(out, m * n, m * n * k, 1, |first, results| {
        for (i, out) in results.chunks_exact_mut(m * n).enumerate() {
            single(cpu, &product.at(first + i), out);
        }
    });
}

fn single(cpu: &Cpu, product: &Product<'_>, out: &mut [f32]) {
    let [m, n, k] = product.size;
    if k == 0 {
        out.fill(0.0);
        product.finish(out);
    } else if product.layout == Layout::TN && n <= NARROW && m > NARROW && k > 2 {
        upright(cpu, product, out);
    } else if n <= NARROW || k <= 2 {
        narrow(cpu, product, out);
    } else if m < FEW_ROWS {
        few(cpu, product, product.left(0), product.source(cpu), out);
    } else {
        wide(cpu, product, out);
    }
}

/// Where the columns of the right operand are read.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// In panels that were made of it.
    Panels(&'a [f32]),
    /// In place: its columns are neighbours in memory.
    Direct(&'a [f32]),
    /// In panels that are made when they are needed.
    Stored,
}

/// Many rows: blocks of rows, each against all panels.
fn wide(cpu: &Cpu, product: &Product<'_>, out: &mut [f32]) {
    let [m, n, k] = product.size;
    let right = product.right();
    let made;
    let source = match product.source(cpu) {
        Source::Direct(data) if m <= DIRECT_ROWS => Source::Direct(data),
        Source::Panels(panels) => Source::Panels(panels),
        Source::Direct(_) | Source::Stored => {
            made = right.packed(cpu);
            Source::Panels(made.values())
        }
    };
    cpu.blocks(out, n, n * k, ROWS, MOST_ROWS, |first, out| {
        let left = product.left(first);
        let rows = out.len() / n;
        if rows == 1 {
            return few(cpu, product, left, source, out);
        }
        for start in (0..k).step_by(CHAIN) {
            let length = CHAIN.min(k - start);
            let left = View { data: &left.data[start * left.column_stride..], ..left };
            if let Source::Direct(data) = source {
                let data = View { data: &data[start * n..], row_stride: n, column_stride: 1 };
                gemm::multiply([rows, n, length], left, data, out, n, start > 0);
            }
            let Source::Panels(panels) = source else { continue };
            for (panel, values) in panels.chunks_exact(PANEL * k).enumerate() {
                let data = View { data: &values[start * PANEL..], row_stride: PANEL, column_stride: 1 };
                let size = [rows, right.columns(panel), length];
                gemm::multiply(size, left, data, &mut out[panel * PANEL..], n, start > 0);
            }
        }
        product.finish(out);
    });
}

/// Few rows: panels of columns are computed side by side, and put into place afterwards.
fn few(cpu: &Cpu, product: &Product<'_>, left: View<'_>, source: Source<'_>, out: &mut [f32]) {
    let [_, n, k] = product.size;
    let m = out.len() / n;
    let right = product.right();
    // One row takes another way through the crate.
    let rows = m.max(2);
    let values: Cow<'_, [f32]> = if left.column_stride == 1 && rows == m {
        Cow::Borrowed(left.data)
    } else {
        let mut rows = vec![0.0; rows * k];
        for (i, row) in rows.chunks_exact_mut(k).take(m).enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = left.data[i * left.row_stride + j * left.column_stride];
            }
        }
        Cow::Owned(rows)
    };
    let mut tiles = cpu.buffer(right.panels() * rows * PANEL);
    cpu.rows(tiles.values_mut(), rows * PANEL, (rows + 8) * PANEL * k, 1, |first, tiles| {
        let mut scratch = matches!(source, Source::Stored).then(|| cpu.buffer(PANEL * CHAIN.min(k)));
        for (i, tile) in tiles.chunks_exact_mut(rows * PANEL).enumerate() {
            let panel = first + i;
            for start in (0..k).step_by(CHAIN) {
                let length = CHAIN.min(k - start);
                let data = match (source, &mut scratch) {
                    (Source::Panels(panels), _) => {
                        let data = &panels[(panel * k + start) * PANEL..];
                        View { data, row_stride: PANEL, column_stride: 1 }
                    }
                    (Source::Direct(data), _) => {
                        View { data: &data[start * n + panel * PANEL..], row_stride: n, column_stride: 1 }
                    }
                    (Source::Stored, scratch) => {
                        let Some(scratch) = scratch else { unreachable!("made above") };
                        let to = &mut scratch.values_mut()[..length * PANEL];
                        right.pack(panel, &(start..start + length), to);
                        View { data: to, row_stride: PANEL, column_stride: 1 }
                    }
                };
                let left = View { data: &values[start..], row_stride: k, column_stride: 1 };
                gemm::multiply([rows, right.columns(panel), length], left, data, tile, PANEL, start > 0);
            }
        }
    });
    for (i, row) in out.chunks_exact_mut(n).enumerate() {
        for (panel, to) in row.chunks_mut(PANEL).enumerate() {
            to.copy_from_slice(&tiles.values()[(panel * rows + i) * PANEL..][..to.len()]);
        }
    }
    product.finish(out);
}

/// Few columns of many long columns (the gradient of a low-rank factor): the transposed product, transposed.
fn upright(cpu: &Cpu, product: &Product<'_>, out: &mut [f32]) {
    let [m, n, k] = product.size;
    let (Stored::F32(b), None) = (product.b, product.bias) else { return narrow(cpu, product, out) };
    let turned = Product { size: [n, m, k], a: b, b: Stored::F32(product.a), kept: None, ..*product };
    let mut across = cpu.buffer(n * m);
    few(cpu, &turned, turned.left(0), turned.source(cpu), across.values_mut());
    for (i, row) in out.chunks_exact_mut(n).enumerate() {
        for (value, from) in row.iter_mut().zip(across.values()[i..].iter().step_by(m)) {
            *value = *from;
        }
    }
}

/// Few columns, or very short sums: dot products over rows that are gathered first.
fn narrow(cpu: &Cpu, product: &Product<'_>, out: &mut [f32]) {
    let [_, n, k] = product.size;
    let right = product.right();
    let columns: Cow<'_, [f32]> = match right.stored {
        Stored::F32(data) if right.row_stride == 1 => Cow::Borrowed(data),
        _ => Cow::Owned(right.transposed()),
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
