//! Running loops with the widest vector instructions of this processor, and reductions with a fixed order.

/// Independent partial sums of a reduction: wide enough for the widest vectors, and part of the definition of a result
/// (the same on every processor).
const LANES: usize = 16;

/// Runs `body` compiled for AVX-512, AVX2 or NEON, whichever this processor has. `body` and everything heavy that it calls
/// must be `#[inline(always)]`: what the compiler keeps as a function of its own uses the lowest instruction set.
#[inline]
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// Name of the instruction set that [`vectorized`] uses.
pub(crate) fn instruction_set() -> &'static str {
    match pulp::Arch::new() {
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(_) => "AVX-512",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(_) => "AVX2",
        #[cfg(target_arch = "aarch64")]
        pulp::Arch::Neon(_) => "NEON",
        _ => "scalar",
    }
}

/// Folds `values` with `LANES` independent accumulators and joins them pairwise.
#[inline(always)]
fn fold(values: &[f32], start: f32, step: impl Fn(f32, f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let (chunks, tail) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(tail) {
        *lane = step(*lane, value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum in the fixed order.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    fold(values, 0.0, |total, value| total + value, |a, b| a + b)
}

/// Sum of the squared distances from `center`, in the fixed order.
#[inline(always)]
pub(crate) fn squared_distances(values: &[f32], center: f32) -> f32 {
    fold(values, 0.0, |total, value| (value - center).mul_add(value - center, total), |a, b| a + b)
}

/// Largest value; not a number is skipped (it comes out of the exponentials that follow).
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    fold(values, f32::NEG_INFINITY, larger, larger)
}

/// Dot product in the fixed order.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, a_tail) = a.as_chunks::<LANES>();
    let (b_chunks, b_tail) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] = x[i].mul_add(y[i], lanes[i]);
        }
    }
    for (i, (x, y)) in a_tail.iter().zip(b_tail).enumerate() {
        lanes[i] = x.mul_add(*y, lanes[i]);
    }
    sum(&lanes)
}
