//! Sizes of the factors of split products. Halves hold values up to 65,504 and lose digits below 1e-4, so every row of the
//! first factor and every column of the second is multiplied by a power of two that brings its largest value to 2^14, and
//! the result divided by both: exact, and independent of the other rows.

use super::piece::{Piece, Side};
use crate::element::Element;
use crate::error::Result;
use crate::gpu::{Cost, Gpu, GpuBuffer, Launch};
use crate::kernels::Kernel;

/// Rows of a workgroup where rows lie side by side in memory.
const SIDES: usize = 64;

/// Exponents of the rows of the first factor and of the columns of the second, of every matrix of the batch.
pub(super) fn exponents(gpu: &Gpu, piece: &Piece<'_>) -> Result<[GpuBuffer; 2]> {
    let [m, n, k] = piece.size;
    Ok([of_side(gpu, &piece.a, [m, k], piece.batches)?, of_side(gpu, &piece.b, [n, k], piece.batches)?])
}

fn of_side(gpu: &Gpu, side: &Side<'_>, [sides, k]: [usize; 2], batches: usize) -> Result<GpuBuffer> {
    // A matrix that all products share has its exponents once.
    let matrices = if side.batch == 0 { 1 } else { batches };
    let out = gpu.buffer(matrices * sides)?;
    let groups = if side.along_k { sides } else { sides.div_ceil(SIDES) };
    let words = [sides, k, side.stride, side.offset, side.batch, groups.max(1)].map(|word| word as u32);
    let values = (matrices * sides * k) as f64;
    gpu.launch(&Launch {
        kernel: kernel(side.element, side.along_k),
        parameters: &words,
        buffers: &[side.binding, out.rows(&(0..matrices * sides), 1)],
        groups: (matrices * groups) as u64,
        cost: Cost { flops: values, bytes: values * side.element.bytes() as f64 },
    })?;
    Ok(out)
}

fn kernel(element: Element, along_k: bool) -> Kernel {
    let element = element.code();
    let constants = [("ELEMENT", element), ("A_ELEMENT", element), ("A_K", u32::from(along_k)), ("A_VEC", 0)];
    Kernel::new("product_exponents", &constants)
}

/// The kernels of this file.
pub(super) fn kernels() -> Vec<Kernel> {
    let elements = [Element::F32, Element::F16, Element::Bf16];
    elements.into_iter().flat_map(|element| [false, true].map(|along_k| kernel(element, along_k))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Backend, Device};
    use crate::ops::Activation;
    use crate::ops::matmul::{Batch, Layout, Product};
    use crate::tensor::Tensor;

    /// What `product_exponents.wgsl` computes.
    fn exponent(row: impl Iterator<Item = f32>) -> i32 {
        let largest = row.map(|value| value.abs().to_bits()).max().unwrap_or(0).min(0x7f7f_ffff);
        (14 + 127 - (largest >> 23) as i32).clamp(-126, 126)
    }

    fn power(exponent: i32) -> f32 {
        f32::from_bits(((exponent + 127) as u32) << 23)
    }

    /// `split` of `shared/split.wgsl`, with the rounding of what is kept in f16.
    fn split(value: f32) -> [f32; 2] {
        let high = f32::from_bits(value.to_bits() & 0xffff_e000);
        let half = |value: f32| Element::F16.widen(&Element::F16.round(&[value]))[0];
        [half(high), half((value - high) * 2048.0)]
    }

    /// The product of a row with a column as `matmul_cooperative.wgsl` computes it.
    fn product(a: &[f32], b: &[f32], scaled: bool) -> f32 {
        let [left, right] = [a, b].map(|row| if scaled { exponent(row.iter().copied()) } else { 0 });
        let (mut sum, mut rest) = (0.0f32, 0.0f32);
        for (a, b) in a.iter().zip(b) {
            let ([a, a_low], [b, b_low]) = (split(a * power(left)), split(b * power(right)));
            sum += a * b;
            rest += a * b_low;
            rest += a_low * b;
        }
        let total = left + right;
        let first = total / 2;
        (sum + rest * 0.000_488_281_25) * power(-first) * power(first - total)
    }

    /// Values of -1 to 1 with a factor.
    fn row(seed: u32, factor: f32) -> Vec<f32> {
        let hash =
            |i: u32| (i ^ seed << 16).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(0x9e37_79b9);
        (0..257).map(|i| ((hash(i) >> 8) as f32 / (1 << 23) as f32 - 1.0) * factor).collect()
    }

    /// The error of a product, relative to the size of the largest values and the root of the number of terms.
    fn error(a: &[f32], b: &[f32], scaled: bool) -> f64 {
        let exact: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let largest = |row: &[f32]| row.iter().fold(0.0f64, |most, value| most.max(f64::from(value.abs())));
        (f64::from(product(a, b, scaled)) - exact).abs() / largest(a) / largest(b) / (a.len() as f64).sqrt()
    }

    #[test]
    fn split_products_of_any_size_have_the_accuracy_of_f32() {
        for (at_a, at_b) in [
            (1.0, 1.0),
            (1e-12, 1e-9),
            (1e10, 1e8),
            (1e30, 1e-30),
            (1e-35, 1e3),
            (3e38, 1e-37),
            (65_000.0, 70_000.0),
        ] {
            let found = error(&row(1, at_a), &row(2, at_b), true);
            assert!(found < 1e-6, "{at_a:e} {at_b:e}: {found:e}");
        }
        // Without the powers, large values overflow and small ones vanish.
        assert!(error(&row(1, 1.0), &row(2, 1.0), false) < 1e-6);
        assert!(!error(&row(1, 1e10), &row(2, 1.0), false).is_finite());
        assert!(error(&row(1, 1e-12), &row(2, 1.0), false) > 1e-3);
        // Values of very different sizes in one row: those that matter keep their digits.
        let mut mixed = row(1, 1e-3);
        mixed[7] = 1e9;
        assert!(error(&mixed, &row(2, 1e-6), true) < 1e-6);
        // Zeros, and results that f32 does not hold.
        assert_eq!(product(&[0.0; 5], &[0.0; 5], true), 0.0);
        assert!(product(&[1e30], &[1e30], true).is_infinite());
        assert_eq!(product(&[1e-30], &[1e-30], true), 0.0);
    }

    /// The kernel needs no cooperative matrices.
    #[test]
    fn the_kernel_finds_the_exponents() {
        let Ok(device) = Device::open("software", 0) else { return };
        let Backend::Gpu(gpu) = device.backend() else { return };
        let [m, n, k] = [70, 67, 130];
        let mut values = [m, n].map(|sides| row(3, 1.0).repeat(2 * sides * k / 257 + 1));
        for values in &mut values {
            for (i, value) in values.iter_mut().enumerate() {
                *value *= 10f32.powi((i / 31 % 70) as i32 - 35);
            }
            values[5..400].fill(0.0);
            values[8000] = f32::INFINITY;
        }
        for (layout, count) in [(Layout::NN, 2), (Layout::NT, 1), (Layout::TN, 1)] {
            let tensor = |values: &[f32], [rows, columns]: [usize; 2]| {
                device.upload(&[count * rows, columns], &values[..count * rows * columns]).unwrap()
            };
            let a = tensor(&values[0], if layout == Layout::TN { [k, m] } else { [m, k] });
            let b = tensor(&values[1], if layout == Layout::NT { [n, k] } else { [k, n] });
            let apart = if count > 1 { [m * k, n * k] } else { [0, 0] };
            let product = Product {
                a: &a,
                b: &b,
                layout,
                size: [m, n, k],
                batch: Batch { count, a: apart[0], b: apart[1] },
                bias: None,
                activation: Activation::None,
            };
            let out = gpu.buffer(count * m * n).unwrap();
            let piece = crate::ops::matmul::gpu::piece::pieces(gpu, "test", &product, &out).unwrap()[0];
            let found = exponents(gpu, &piece).unwrap();
            for (side, (buffer, sides)) in found.into_iter().zip([m, n]).enumerate() {
                let got = Tensor::from_gpu(&device, &[count * sides], buffer).read().unwrap();
                let along_k = layout != [Layout::TN, Layout::NN][side] && (side == 0 || layout == Layout::NT);
                for (at, got) in got.iter().enumerate() {
                    let (matrix, row) = (at / sides, at % sides);
                    let place =
                        |t: usize| matrix * sides * k + if along_k { row * k + t } else { t * sides + row };
                    let want = exponent((0..k).map(|t| values[side][place(t)]));
                    assert_eq!(got.to_bits().cast_signed(), want, "{layout:?} {side} {at}");
                }
            }
        }
    }
}
