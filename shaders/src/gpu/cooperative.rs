//! Cooperative matrices: everything about them is here and in `matmul_cooperative.wgsl`, because they are experimental in
//! wgpu. They serve the precisions `f16` and `f32x3`; a device is opened with one of these only if its adapter has matrices
//! that fit and computes a test product correctly. No other precision is ever taken instead.

use super::{Features, Gpu};
use crate::device::Device;
use crate::error::{DeviceError, Error};
use crate::kernels::Kernel;
use crate::ops::{self, Layout};
use crate::precision::Precision;

/// Steps of the inner sum in workgroup memory.
const DEPTH: u32 = 16;

/// How a device computes with cooperative matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cooperative {
    /// Rows, columns and inner size of a matrix.
    size: u32,
    /// Invocations of a subgroup.
    lanes: u32,
    /// Whether factors are split into two halves.
    split: bool,
}

impl Cooperative {
    /// What to use on an adapter for a precision: nothing for f32, which every adapter can; otherwise cooperative
    /// matrices, or what is missing. Nothing else decides whether a precision is possible.
    pub(crate) fn of(features: &Features, precision: Precision) -> Result<Option<Cooperative>, String> {
        if precision == Precision::F32 {
            return Ok(None);
        }
        let fits = |size: u32| {
            let found = features.cooperative.iter();
            let mut square = found.filter(|shape| [shape.m, shape.n, shape.k] == [size; 3]);
            square.any(|shape| shape.f16_factors && !shape.f16_sums)
        };
        let size = [16, 8].into_iter().find(|size| features.f16 && fits(*size));
        let size = size.ok_or("the adapter has no square cooperative matrices that multiply f16 into f32")?;
        let lanes = match features.subgroups {
            Some((least, most)) if least == most && 4 * most <= 256 => most,
            _ => return Err("the size of the adapter's subgroups is not fixed".to_owned()),
        };
        let cooperative = Cooperative { size, lanes, split: precision == Precision::F32x3 };
        // Every invocation of the workgroup loads whole vectors of the slices.
        if !(cooperative.side() as u32 * DEPTH / 4).is_multiple_of(4 * lanes) {
            return Err("the adapter's subgroups are too large for its cooperative matrices".to_owned());
        }
        Ok(Some(cooperative))
    }

    /// Whether factors are split into two halves.
    pub(crate) fn split(self) -> bool {
        self.split
    }

    /// Matrices along each side of the tile of a subgroup: more of them need fewer loads for each product, but the halves
    /// need twice the workgroup memory, and software drivers compile for minutes.
    fn fragments(self) -> u32 {
        if self.split || self.size == 8 { 2 } else { 4 }
    }

    /// Rows and columns of a workgroup.
    pub(crate) fn side(self) -> usize {
        (2 * self.fragments() * self.size) as usize
    }

    /// The kernel, given the constants of `shared/product.wgsl`.
    pub(crate) fn kernel(self, product: Vec<(&'static str, u32)>) -> Kernel {
        let Cooperative { size, lanes, split } = self;
        let (fragments, side, threads) = (self.fragments(), self.side() as u32, 4 * lanes);
        let row = DEPTH / 4 + 2;
        let mut constants = product;
        constants.extend([
            ("SPLIT", u32::from(split)),
            ("SIZE", size),
            ("SIZE_FOURS", size / 4),
            ("MATRIX", size * size),
            ("FRAGMENTS", fragments),
            ("WAVE", fragments * size),
            ("SIDE", side),
            ("FOURS", side / 4),
            ("DEPTH", DEPTH),
            ("DEPTH_FOURS", DEPTH / 4),
            ("STEPS", DEPTH / size),
            ("ROW", row),
            ("SLICE", side * row),
            ("SCRATCH", 4 * size * size),
            ("LANES", lanes),
            ("THREADS", threads),
            ("LOADS", (side * DEPTH / 4).div_ceil(threads)),
        ]);
        Kernel::new("matmul_cooperative", &constants)
    }

    /// The shapes that are known to exist: software drivers, NVIDIA; in both precisions.
    pub(crate) fn known() -> Vec<Cooperative> {
        let shapes = [(8, 8), (16, 32)].into_iter();
        shapes
            .flat_map(|(size, lanes)| [false, true].map(|split| Cooperative { size, lanes, split }))
            .collect()
    }
}

impl Features {
    /// Checks that work in `precision` is possible.
    ///
    /// # Errors
    /// [`DeviceError::Precision`] with what is missing.
    pub(super) fn expect(
        &self,
        precision: Precision,
        device: &str,
    ) -> Result<Option<Cooperative>, DeviceError> {
        let refuse = |why| DeviceError::Precision { device: device.to_owned(), precision, why };
        Cooperative::of(self, precision).map_err(refuse)
    }
}

impl Gpu {
    /// How this device computes products in its precision: by cooperative matrices, unless that is f32.
    pub(crate) fn cooperative(&self) -> Result<Option<Cooperative>, DeviceError> {
        self.features.expect(self.precision, &self.info.name)
    }
}

/// Compares products of `device`, which computes with cooperative matrices, with the same in f64: wrong results are a
/// known danger of experimental features.
///
/// # Errors
/// [`DeviceError::Precision`] if they differ by more than the precision explains; the device's errors.
pub(crate) fn self_test(device: &Device) -> Result<(), DeviceError> {
    let precision = device.precision();
    let tolerance = match precision {
        Precision::F32 => return Ok(()),
        Precision::F32x3 => 2e-6,
        Precision::F16 => 3e-3,
    };
    let fail = |why: String| DeviceError::Precision { device: device.info().name.clone(), precision, why };
    // Several tiles, none of them whole; sums over several slices.
    let [m, n, k] = [131, 139, 77];
    let values = |count: usize, seed: u32| -> Vec<f32> {
        let hash =
            |i: u32| (i ^ seed).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(0x9e37_79b9) >> 8;
        (0..count as u32).map(|i| hash(i) as f32 / (1 << 23) as f32 - 1.0).collect()
    };
    let (a, b) = (values(m * k, 1), values(n * k, 2));
    for layout in [Layout::NT, Layout::NN, Layout::TN] {
        let (a_shape, b_shape) = match layout {
            Layout::NN => ([m, k], [k, n]),
            Layout::NT => ([m, k], [n, k]),
            Layout::TN => ([k, m], [k, n]),
        };
        let product = || -> Result<Vec<f32>, Error> {
            let (a, b) = (device.upload(&a_shape, &a)?, device.upload(&b_shape, &b)?);
            ops::matmul(&a, &b, layout)?.read()
        };
        let got = product().map_err(|error| match error {
            Error::Device(error) => error,
            other => fail(other.to_string()),
        })?;
        let mut worst = 0.0f64;
        for (at, got) in got.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let term = |t: usize| {
                let a = a[if layout == Layout::TN { t * m + i } else { i * k + t }];
                let b = b[if layout == Layout::NT { j * k + t } else { t * n + j }];
                f64::from(a) * f64::from(b)
            };
            let error = ((0..k).map(term).sum::<f64>() - f64::from(*got)).abs();
            // Also catches not-a-number, which no comparison does.
            worst = if error <= worst { worst } else { error };
        }
        // Relative to the root of the number of terms, the size of a typical sum.
        worst /= (k as f64).sqrt();
        tracing::debug!(?layout, %precision, worst, "cooperative matrices tested");
        if worst.is_nan() || worst > tolerance {
            let why = format!("its cooperative matrices gave wrong products ({layout:?}: error {worst:.1e})");
            return Err(fail(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::CooperativeShape;

    #[test]
    fn only_matrices_that_fit_are_used() {
        let shape =
            |size, f16_sums| CooperativeShape { m: size, n: size, k: size, f16_factors: true, f16_sums };
        let features = |cooperative, subgroups| Features {
            subgroups,
            f16: true,
            cooperative,
            timestamps: false,
            immediates: false,
            pipeline_cache: false,
        };
        let of = |shapes, subgroups| Cooperative::of(&features(shapes, subgroups), Precision::F16);
        let both =
            of(vec![shape(8, false), shape(16, true), shape(16, false)], Some((32, 32))).unwrap().unwrap();
        assert_eq!((both.size, both.lanes, both.side()), (16, 32, 128));
        assert!(of(vec![shape(16, true)], Some((32, 32))).unwrap_err().contains("f16 into f32"));
        assert!(of(vec![shape(16, false)], Some((32, 64))).unwrap_err().contains("subgroups"));
        assert!(Cooperative::of(&features(vec![], None), Precision::F32).unwrap().is_none());
        assert!(of(vec![shape(16, false)], None).unwrap_err().contains("subgroups"));
    }
}
