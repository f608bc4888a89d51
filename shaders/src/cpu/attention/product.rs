//! The matrix products of attention: six rows of a result at a time in registers, for inner sizes of a head (tens) and
//! operands that already lie packed in the cache, where the general product would spend its time on packing and calls.
//!
//! Every value is one chain of multiply-adds in the order of the steps, on every processor: vectors run along columns.

use std::ops::Range;

use pulp::Simd;

/// Rows of a result that are computed together: 6 x 4 vectors fill the registers of AVX-512 and NEON, 6 x 2 those of AVX2.
pub(super) const ROWS: usize = 6;
/// Packed right operands have rows of a multiple of this many values: the widest vectors.
pub(super) const LANES: usize = 16;

/// A left operand of [`ROWS`] rows and many steps.
pub(super) trait Left: Copy {
    /// The value of row `row` at step `step`.
    fn at(&self, row: usize, step: usize) -> f32;
    /// The values of all rows at a step of `range`, counted from its start.
    fn steps(&self, range: Range<usize>) -> impl Fn(usize) -> [f32; ROWS];
}

/// Rows one after the other, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct ByRow<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
}

/// Steps one after the other, `stride` apart; the rows of a step are neighbours.
#[derive(Clone, Copy)]
pub(super) struct ByStep<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
}

// Nothing here may be a function of its own: it would be compiled without the wide instructions. So no adaptors of
// iterators and no `array::from_fn`.

impl Left for ByRow<'_> {
    #[inline(always)]
    fn at(&self, row: usize, step: usize) -> f32 {
        self.values[row * self.stride + step]
    }

    #[inline(always)]
    fn steps(&self, range: Range<usize>) -> impl Fn(usize) -> [f32; ROWS] {
        let count = range.len();
        let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
        for (m, row) in rows.iter_mut().enumerate() {
            *row = &self.values[m * self.stride + range.start..][..count];
        }
        #[inline(always)]
        move |t| [rows[0][t], rows[1][t], rows[2][t], rows[3][t], rows[4][t], rows[5][t]]
    }
}

impl Left for ByStep<'_> {
    #[inline(always)]
    fn at(&self, row: usize, step: usize) -> f32 {
        self.values[step * self.stride + row]
    }

    #[inline(always)]
    fn steps(&self, range: Range<usize>) -> impl Fn(usize) -> [f32; ROWS] {
        let (values, stride) = (self.values, self.stride);
        #[inline(always)]
        move |t| {
            let step = &values[(range.start + t) * stride..][..ROWS];
            [step[0], step[1], step[2], step[3], step[4], step[5]]
        }
    }
}

/// The steps that belong to each row: `from[m]..to[m]`. What lies outside is never multiplied, so that a value that a row
/// must not see does not reach it even if it is not a number.
#[derive(Clone, Copy)]
pub(super) struct Spans {
    pub(super) from: [usize; ROWS],
    pub(super) to: [usize; ROWS],
}

impl Spans {
    /// All rows have the steps `0..count`.
    #[inline(always)]
    pub(super) fn all(count: usize) -> Spans {
        Spans { from: [0; ROWS], to: [count; ROWS] }
    }

    /// The first step of any row, the steps that all rows have, and the end of the last.
    #[inline(always)]
    fn parts(&self) -> (usize, Range<usize>, usize) {
        let (mut begin, mut first, mut last, mut end) = (usize::MAX, 0, usize::MAX, 0);
        for m in 0..ROWS {
            begin = begin.min(self.from[m]);
            first = first.max(self.from[m]);
            last = last.min(self.to[m]);
            end = end.max(self.to[m]);
        }
        let first = first.min(end);
        (begin, first..last.max(first), end)
    }
}

/// Adds the products of whole steps.
#[inline(always)]
fn multiply<S: Simd, const N: usize>(
    simd: S,
    sums: &mut [[S::f32s; N]; ROWS],
    left: impl Fn(usize) -> [f32; ROWS],
    count: usize,
    right: &[f32],
    width: usize,
    column: usize,
) {
    let mut totals = *sums;
    for t in 0..count {
        let factors = left(t);
        let (row, _) = S::as_simd_f32s(&right[t * width + column..][..N * S::F32_LANES]);
        for m in 0..ROWS {
            let factor = simd.splat_f32s(factors[m]);
            for n in 0..N {
                totals[m][n] = simd.mul_add_f32s(factor, row[n], totals[m][n]);
            }
        }
    }
    *sums = totals;
}

/// Adds the products of steps that not all rows have.
#[inline(always)]
#[expect(clippy::too_many_arguments, clippy::needless_range_loop, reason = "loops over registers, inlined")]
fn add_guarded<S: Simd, const N: usize>(
    simd: S,
    sums: &mut [[S::f32s; N]; ROWS],
    left: impl Left,
    right: &[f32],
    width: usize,
    spans: &Spans,
    column: usize,
    steps: Range<usize>,
) {
    let mut totals = *sums;
    for step in steps {
        let (row, _) = S::as_simd_f32s(&right[step * width + column..][..N * S::F32_LANES]);
        for m in 0..ROWS {
            if spans.from[m] <= step && step < spans.to[m] {
                let factor = simd.splat_f32s(left.at(m, step));
                for n in 0..N {
                    totals[m][n] = simd.mul_add_f32s(factor, row[n], totals[m][n]);
                }
            }
        }
    }
    *sums = totals;
}

/// Columns `column..` of six rows: N vectors a row.
#[inline(always)]
#[expect(clippy::too_many_arguments, clippy::manual_memcpy, reason = "loops over registers, inlined")]
fn accumulate_strip<S: Simd, const N: usize>(
    simd: S,
    out: &mut [f32],
    factors: &[f32; ROWS],
    left: impl Left,
    right: &[f32],
    width: usize,
    spans: &Spans,
    column: usize,
) {
    let columns = column..column + N * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); N]; ROWS];
    for m in 0..ROWS {
        let (row, _) = S::as_simd_f32s(&out[m * width..][columns.clone()]);
        let factor = simd.splat_f32s(factors[m]);
        for n in 0..N {
            sums[m][n] = simd.mul_f32s(row[n], factor);
        }
    }
    let (begin, common, end) = spans.parts();
    add_guarded(simd, &mut sums, left, right, width, spans, column, begin..common.start);
    if !common.is_empty() {
        let right = &right[common.start * width..];
        multiply(simd, &mut sums, left.steps(common.clone()), common.len(), right, width, column);
    }
    add_guarded(simd, &mut sums, left, right, width, spans, column, common.end..end);
    for m in 0..ROWS {
        let (row, _) = S::as_mut_simd_f32s(&mut out[m * width..][columns.clone()]);
        for n in 0..N {
            row[n] = sums[m][n];
        }
    }
}

/// `out[m] = out[m] * factors[m] + Σ left(m, t) * right[t]` over the steps t of row m, for six rows of `width` values (a
/// multiple of [`LANES`]).
#[inline(always)]
pub(super) fn accumulate<S: Simd>(
    simd: S,
    out: &mut [f32],
    factors: &[f32; ROWS],
    left: impl Left,
    right: &[f32],
    width: usize,
    spans: &Spans,
) {
    let most = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
    let vectors = width / S::F32_LANES;
    let mut at = 0;
    while at < vectors {
        let count = most.min(vectors - at);
        let column = at * S::F32_LANES;
        match count {
            4 => accumulate_strip::<S, 4>(simd, out, factors, left, right, width, spans, column),
            3 => accumulate_strip::<S, 3>(simd, out, factors, left, right, width, spans, column),
            2 => accumulate_strip::<S, 2>(simd, out, factors, left, right, width, spans, column),
            _ => accumulate_strip::<S, 1>(simd, out, factors, left, right, width, spans, column),
        }
        at += count;
    }
}

/// Columns of a packed panel of scores.
pub(super) const PANEL: usize = 64;

/// `out[m] = left[m] right` for six rows `stride` apart and the [`PANEL`] columns of `right`; `left` and `right` have
/// `steps` steps. With `largest`, keeps the largest values of each row there, one vector for each row.
#[inline(always)]
pub(super) fn panel<S: Simd>(
    simd: S,
    out: &mut [f32],
    stride: usize,
    left: ByStep<'_>,
    right: &[f32],
    steps: usize,
    largest: Option<&mut [f32]>,
) {
    if S::REGISTER_COUNT >= 32 {
        panel_strips::<S, 4>(simd, out, stride, left, right, steps, largest);
    } else {
        panel_strips::<S, 2>(simd, out, stride, left, right, steps, largest);
    }
}

#[inline(always)]
fn panel_strips<S: Simd, const N: usize>(
    simd: S,
    out: &mut [f32],
    stride: usize,
    left: ByStep<'_>,
    right: &[f32],
    steps: usize,
    largest: Option<&mut [f32]>,
) {
    let mut maxima = [simd.splat_f32s(f32::NEG_INFINITY); ROWS];
    for column in (0..PANEL).step_by(N * S::F32_LANES) {
        let mut sums = [[simd.splat_f32s(0.0); N]; ROWS];
        multiply(simd, &mut sums, left.steps(0..steps), steps, right, PANEL, column);
        for m in 0..ROWS {
            let (row, _) = S::as_mut_simd_f32s(&mut out[m * stride + column..][..N * S::F32_LANES]);
            for n in 0..N {
                row[n] = sums[m][n];
                maxima[m] = simd.max_f32s(sums[m][n], maxima[m]);
            }
        }
    }
    if let Some(largest) = largest {
        for m in 0..ROWS {
            let (row, _) = S::as_mut_simd_f32s(&mut largest[m * LANES..][..LANES]);
            row[0] = simd.max_f32s(row[0], maxima[m]);
        }
    }
}
