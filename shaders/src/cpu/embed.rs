//! CPU twins of the embedding lookup and of its backward pass.

use super::Cpu;
use super::panels::Stored;
use super::simd::vectorized;
use crate::element::{widen_bf16, widen_f16};

/// out row i = table row ids[i], widened.
pub(crate) fn embed(cpu: &Cpu, table: Stored<'_>, width: usize, ids: &[u32], out: &mut [f32]) {
    match table {
        Stored::F32(table) => gather(cpu, table, width, ids, out, |value| value),
        Stored::F16(table) => gather(cpu, table, width, ids, out, widen_f16),
        Stored::Bf16(table) => gather(cpu, table, width, ids, out, widen_bf16),
    }
}

fn gather<T: Copy + Sync>(
    cpu: &Cpu,
    table: &[T],
    width: usize,
    ids: &[u32],
    out: &mut [f32],
    widen: impl Fn(T) -> f32 + Sync,
) {
    cpu.rows(out, width, width, 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (out, &id) in out.chunks_exact_mut(width).zip(&ids[first..]) {
                    let row = &table[id as usize * width..][..width];
                    out.iter_mut().zip(row).for_each(|(out, &value)| *out = widen(value));
                }
            },
        );
    });
}

/// out row i = the sum, in order, of the rows of x that list i names: entries `offsets[i]..offsets[i + 1]` of `order`, or
/// those rows themselves.
pub(crate) fn sum_lists(
    cpu: &Cpu,
    x: &[f32],
    width: usize,
    offsets: &[u32],
    order: Option<&[u32]>,
    out: &mut [f32],
) {
    let lists = offsets.len() - 1;
    let named = order.map_or(x.len() / width.max(1), <[u32]>::len);
    cpu.rows(out, width, width * (1 + named / lists.max(1)), 1, |first, out| {
        vectorized(
            #[inline(always)]
            || {
                for (out, ends) in out.chunks_exact_mut(width).zip(offsets[first..].windows(2)) {
                    out.fill(0.0);
                    for at in ends[0]..ends[1] {
                        let row = order.map_or(at, |order| order[at as usize]) as usize;
                        let row = &x[row * width..][..width];
                        out.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                    }
                }
            },
        );
    });
}
