//! CPU twins of the sparse products.

use super::Cpu;
use super::simd::{dot, vectorized};
use crate::ops::{BLOCK, Item};

/// A sparse matrix and a dense one.
pub(crate) struct Product<'a> {
    pub(crate) values: &'a [f32],
    /// Where the value of each non-zero is, if not in their order.
    pub(crate) places: Option<&'a [u32]>,
    /// Row of the dense matrix of each non-zero.
    pub(crate) indices: &'a [u32],
    pub(crate) dense: &'a [f32],
    pub(crate) width: usize,
}

impl Product<'_> {
    /// Factor and dense row of a non-zero.
    #[inline(always)]
    fn term(&self, nonzero: usize) -> (f32, &[f32]) {
        let place = self.places.map_or(nonzero, |places| places[nonzero] as usize);
        (self.values[place], &self.dense[self.indices[nonzero] as usize * self.width..][..self.width])
    }

    /// Adds the terms of non-zeros, each in order, to `partial`.
    #[inline(always)]
    fn accumulate(&self, nonzeros: std::ops::Range<usize>, partial: &mut [f32]) {
        let mut at = nonzeros.start;
        // Four at once: one load and store of the sum for four rows of the table, in the same order.
        while at + 4 <= nonzeros.end {
            let [(a, x), (b, y), (c, z), (d, w)] =
                [self.term(at), self.term(at + 1), self.term(at + 2), self.term(at + 3)];
            for ((((sum, x), y), z), w) in partial.iter_mut().zip(x).zip(y).zip(z).zip(w) {
                *sum = d.mul_add(*w, c.mul_add(*z, b.mul_add(*y, a.mul_add(*x, *sum))));
            }
            at += 4;
        }
        for nonzero in at..nonzeros.end {
            let (a, x) = self.term(nonzero);
            partial.iter_mut().zip(x).for_each(|(sum, x)| *sum = a.mul_add(*x, *sum));
        }
    }
}

/// One row of `out` per item, a range of non-zeros.
pub(crate) fn multiply(cpu: &Cpu, product: &Product<'_>, items: &[Item], out: &mut [f32]) {
    let width = product.width;
    let longest = items.iter().map(|item| (item[1] - item[0]) as usize).max().unwrap_or(0);
    cpu.rows(out, width, width * longest, 1, |first, out| {
        let mut partial = vec![0.0; width];
        for (item, out) in items[first..].iter().zip(out.chunks_exact_mut(width)) {
            if item[2] == 0 {
                out.fill(f32::NAN);
                continue;
            }
            let nonzeros = item[0] as usize..item[1] as usize;
            out.fill(0.0);
            vectorized(
                #[inline(always)]
                || {
                    for start in nonzeros.clone().step_by(BLOCK) {
                        partial.fill(0.0);
                        product.accumulate(start..nonzeros.end.min(start + BLOCK), &mut partial);
                        out.iter_mut().zip(&partial).for_each(|(sum, value)| *sum += value);
                    }
                },
            );
        }
    });
}

/// out[i] = left row rows[i] · right row columns[i].
pub(crate) fn dots(
    cpu: &Cpu,
    [left, right]: [&[f32]; 2],
    width: usize,
    rows: &[u32],
    columns: &[u32],
    out: &mut [f32],
) {
    cpu.rows(out, 1, width, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for ((out, &row), &column) in out.iter_mut().zip(&rows[first..]).zip(&columns[first..]) {
                    let (row, column) = (row as usize * width, column as usize * width);
                    *out = dot(&left[row..row + width], &right[column..column + width]);
                }
            },
        );
    });
}

/// out[i] = (x[i] - shift[rows[i]]) / scale[rows[i]]; no shift if there is none.
pub(crate) fn shares(
    cpu: &Cpu,
    x: &[f32],
    shift: Option<&[f32]>,
    scale: &[f32],
    rows: &[u32],
    out: &mut [f32],
) {
    cpu.rows(out, 1, 4, 1, |first, out| {
        for ((out, x), &row) in out.iter_mut().zip(&x[first..]).zip(&rows[first..]) {
            *out = (x - shift.map_or(0.0, |shift| shift[row as usize])) / scale[row as usize];
        }
    });
}
