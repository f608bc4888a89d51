//! The right operand of a product as panels of columns: the layout that the tuned crate reads in place. Made once for all
//! rows of a product, and kept beside a weight that is used again.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::simd::vectorized;
use super::{Cpu, CpuBuffer};
use crate::element::{widen_bf16, widen_f16};

/// Columns of a panel: a multiple of the tile of the crate on every processor.
pub(crate) const PANEL: usize = 64;

/// Stored values of an operand.
#[derive(Clone, Copy)]
pub(crate) enum Stored<'a> {
    F32(&'a [f32]),
    F16(&'a [u16]),
    Bf16(&'a [u16]),
}

/// A right operand, `[k, n]`: value (t, j) is at `t * row_stride + j * column_stride`, and one of the strides is 1.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) stored: Stored<'a>,
    pub(crate) size: [usize; 2],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Right<'_> {
    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.size[1].div_ceil(PANEL)
    }

    /// Columns of a panel.
    pub(crate) fn columns(&self, panel: usize) -> usize {
        PANEL.min(self.size[1] - panel * PANEL)
    }

    /// Rows `steps` of a panel, as `[steps, PANEL]`. Columns past the last keep what was there.
    pub(crate) fn pack(&self, panel: usize, steps: &Range<usize>, to: &mut [f32]) {
        match self.stored {
            Stored::F32(data) => self.copy(data, panel, steps, to, |value| value),
            Stored::F16(data) => self.copy(data, panel, steps, to, widen_f16),
            Stored::Bf16(data) => self.copy(data, panel, steps, to, widen_bf16),
        }
    }

    fn copy<T: Copy>(
        &self,
        data: &[T],
        panel: usize,
        steps: &Range<usize>,
        to: &mut [f32],
        widen: impl Fn(T) -> f32,
    ) {
        /// Steps that are copied together, so that the written lines stay in the first-level cache.
        const STEPS: usize = 16;
        let (column, count) = (panel * PANEL, self.columns(panel));
        vectorized(
            #[inline(always)]
            || {
                for (block, to) in to.chunks_mut(STEPS * PANEL).enumerate() {
                    let first = steps.start + block * STEPS;
                    if self.column_stride == 1 {
                        for (step, to) in to.chunks_exact_mut(PANEL).enumerate() {
                            let from = &data[(first + step) * self.row_stride + column..][..count];
                            to.iter_mut().zip(from).for_each(|(to, &from)| *to = widen(from));
                        }
                        continue;
                    }
                    let length = to.len() / PANEL;
                    for j in 0..count {
                        let from = &data[(column + j) * self.column_stride + first..][..length];
                        for (to, &from) in to[j..].iter_mut().step_by(PANEL).zip(from) {
                            *to = widen(from);
                        }
                    }
                }
            },
        );
    }

    /// The operand transposed, `[n, k]`.
    pub(crate) fn transposed(&self) -> Vec<f32> {
        let [k, n] = self.size;
        let at = (0..n * k).map(|at| (at % k) * self.row_stride + (at / k) * self.column_stride);
        match self.stored {
            Stored::F32(data) => at.map(|at| data[at]).collect(),
            Stored::F16(data) => at.map(|at| widen_f16(data[at])).collect(),
            Stored::Bf16(data) => at.map(|at| widen_bf16(data[at])).collect(),
        }
    }

    /// All panels, one after the other, each `[k, PANEL]`.
    pub(crate) fn packed(&self, cpu: &Cpu) -> CpuBuffer {
        let k = self.size[0];
        let mut packed = cpu.buffer(self.panels() * k * PANEL);
        cpu.rows(packed.values_mut(), k * PANEL, k * PANEL, 1, |first, panels| {
            for (panel, to) in panels.chunks_exact_mut(k * PANEL).enumerate() {
                self.pack(first + panel, &(0..k), to);
            }
        });
        packed
    }
}

/// Panels that stay with the values that they were made of.
#[derive(Default)]
pub(crate) struct Kept {
    used: AtomicBool,
    panels: OnceLock<Box<Panels>>,
}

struct Panels {
    /// Sizes of the operand, which are not the same for every shape of the values.
    size: [usize; 2],
    values: CpuBuffer,
}

impl Kept {
    /// The panels of `right`, if they are kept.
    pub(crate) fn panels(&self, right: &Right<'_>) -> Option<&[f32]> {
        self.panels.get().filter(|kept| kept.size == right.size).map(|kept| kept.values.values())
    }

    /// Whether this is not the first question, and nothing is kept yet.
    pub(crate) fn used_before(&self) -> bool {
        self.used.swap(true, Ordering::Relaxed) && self.panels.get().is_none()
    }

    /// Keeps the panels of `right`, unless others are kept already.
    pub(crate) fn keep(&self, right: &Right<'_>, values: CpuBuffer) {
        // Two threads may have made the same panels.
        let _ = self.panels.set(Box::new(Panels { size: right.size, values: values.into_panels() }));
    }

    /// The values change.
    pub(crate) fn forget(&mut self) {
        *self = Kept::default();
    }
}
