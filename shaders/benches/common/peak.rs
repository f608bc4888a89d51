//! What adapters can do at most, as their makers publish it.

use celldag_shaders::{DeviceInfo, Precision};

/// Published peaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    /// f32 arithmetic without matrix units.
    pub f32_tflops: f64,
    /// f16 factors with f32 sums on matrix units, without sparsity.
    pub f16_tflops: f64,
    /// Memory.
    pub(crate) gigabytes: f64,
}

/// Part of an adapter's name, and the peaks in the data sheet of its maker.
const PUBLISHED: &[(&str, [f64; 3])] = &[
    ("H200", [67.0, 989.0, 4800.0]),
    ("H100 80GB HBM3", [67.0, 989.0, 3350.0]),
    ("A100-SXM4-80GB", [19.5, 312.0, 2039.0]),
    ("A100-SXM4-40GB", [19.5, 312.0, 1555.0]),
    ("V100-SXM2", [15.7, 125.0, 900.0]),
    ("Tesla T4", [8.1, 65.0, 320.0]),
    ("RTX 4090", [82.6, 165.2, 1008.0]),
];

/// The peaks of a hardware adapter: from `CELLDAG_GPU_PEAK_TFLOPS` (f32), `CELLDAG_GPU_PEAK_F16_TFLOPS` and
/// `CELLDAG_GPU_PEAK_GBS`, or of a well-known card by its name; not-a-number for what is not known. None for the CPU
/// backend and software drivers.
pub(crate) fn peak(info: &DeviceInfo) -> Option<Peak> {
    if info.backend == "cpu" || info.software {
        return None;
    }
    let known = PUBLISHED.iter().find(|(name, _)| info.name.contains(name));
    let [f32_tflops, f16_tflops, gigabytes] = known.map_or([f64::NAN; 3], |(_, peaks)| *peaks);
    let given = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    Some(Peak {
        f32_tflops: given("CELLDAG_GPU_PEAK_TFLOPS", f32_tflops),
        f16_tflops: given("CELLDAG_GPU_PEAK_F16_TFLOPS", f16_tflops),
        gigabytes: given("CELLDAG_GPU_PEAK_GBS", gigabytes),
    })
}

impl Peak {
    /// Floating-point operations a second of products in this precision; `f32x3` makes three products of halves.
    pub(crate) fn flops(&self, precision: Precision) -> f64 {
        1e12 * match precision {
            Precision::F32 => self.f32_tflops,
            Precision::F32x3 => self.f16_tflops / 3.0,
            Precision::F16 => self.f16_tflops,
        }
    }
}
