//! The products and weights have the same bits with the instructions of this processor as without any vectors.

use pulp::{Arch, Simd, WithSimd};

use super::product::{ByRow, ByStep, LANES, PANEL, ROWS, Spans, accumulate, panel};
use super::softmax::{differentiate, weigh};

/// Reproducible values in -1 to 1.
fn values(seed: u32, count: usize) -> Vec<f32> {
    let value =
        |i: u32| (i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    (0..count as u32).map(value).collect()
}

/// A panel of scores, its weights, their product with rows of `width`, and the gradients of the scores.
struct Everything {
    steps: usize,
    width: usize,
}

impl WithSimd for Everything {
    type Output = [Vec<f32>; 4];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Everything { steps, width } = self;
        let stride = PANEL + LANES;
        let (left, right) = (values(1, steps * ROWS), values(2, steps * PANEL));
        let mut scores = vec![0.0; ROWS * stride];
        let mut maxima = vec![f32::NEG_INFINITY; ROWS * LANES];
        let by_step = ByStep { values: &left, stride: ROWS };
        panel(simd, &mut scores, stride, by_step, &right, steps, Some(&mut maxima));
        for m in 0..ROWS {
            let row = &scores[m * stride..][..PANEL];
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let kept = maxima[m * LANES..][..LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(kept, largest);
        }
        let mut totals = vec![0.0; ROWS * LANES];
        let mut weights = scores.clone();
        for (row, totals) in weights.chunks_exact_mut(stride).zip(totals.chunks_exact_mut(LANES)) {
            weigh(simd, &mut row[..PANEL], 3.0, totals);
        }
        // Rows see different parts, one sees nothing.
        let spans = Spans { from: [0, 3, 5, 5, 9, 1], to: [60, 60, 64, 5, 61, 2] };
        let mut out = values(3, ROWS * width);
        let by_row = ByRow { values: &weights, stride };
        accumulate(simd, &mut out, &[0.5; ROWS], by_row, &values(4, PANEL * width), width, &spans);
        let mut slopes = values(5, PANEL);
        differentiate(simd, &mut scores[..PANEL], &mut slopes, 2.5, 0.1);
        [weights, totals, out, slopes]
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for (steps, width) in [(1, 16), (7, 48), (64, 64), (127, 128)] {
        let bits = |arch: Arch| {
            let results = arch.dispatch(Everything { steps, width });
            results.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        assert_eq!(bits(Arch::new()), bits(Arch::Scalar), "{steps} steps, {width} columns");
    }
}
