//! How fast a device is at what the models do most, for `celldag devices --bench`.

use std::time::Instant;

use crate::device::Device;
use crate::error::Result;
use crate::ops::{self, Activation, Pool};
use crate::segments::Segments;
use crate::tensor::Tensor;

/// One measured speed.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// What was measured, with its size.
    pub what: &'static str,
    /// Best of a few runs.
    pub value: f64,
    /// `GFLOP/s` or `GB/s`.
    pub unit: &'static str,
}

/// Seconds to spend on each measurement.
const SECONDS: f64 = 1.0;

/// Measures a linear layer, attention, and the bandwidth of an element-wise operation.
///
/// # Errors
/// The device's errors.
pub fn measure(device: &Device) -> Result<Vec<Measurement>> {
    let (rows, width, heads) = (2048, 512, 8);
    let x = pattern(device, &[rows, width])?;
    let weight = pattern(device, &[width, width])?;
    let segments = Segments::new(device, &[rows])?;
    let linear = best(|| ops::linear(&x, &weight, None, Activation::None))?;
    let attention = best(|| ops::attention(&x, &x, &x, &segments, heads, false))?;
    let add = best(|| ops::add(&x, &x))?;
    let (rows, width) = (rows as f64, width as f64);
    let flops = |what, flops: f64| Measurement { what, value: flops / 1e9, unit: "GFLOP/s" };
    let bandwidth = 12.0 * rows * width / add / 1e9;
    Ok(vec![
        flops("linear layer 2048 x 512 x 512", 2.0 * rows * width * width / linear),
        flops("attention, 2048 tokens, 8 heads of 64", 4.0 * rows * rows * width / attention),
        Measurement { what: "addition of 4 MiB", value: bandwidth, unit: "GB/s" },
    ])
}

/// Values that are neither constant nor costly to make.
fn pattern(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> =
        (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as f32 / 4096.0).collect();
    device.upload(shape, &values)
}

/// Seconds of the fastest run, each waited for by reading one row of the result; at least three after the first, which
/// compiles.
fn best(run: impl Fn() -> Result<Tensor>) -> Result<f64> {
    let once = || -> Result<f64> {
        let start = Instant::now();
        let result = run()?;
        let whole = Segments::new(result.device(), &[result.shape()[0]])?;
        ops::pool(&result, &whole, Pool::First)?.read()?;
        Ok(start.elapsed().as_secs_f64())
    };
    once()?;
    let started = Instant::now();
    let (mut fastest, mut runs) = (f64::INFINITY, 0);
    while runs < 3 || (runs < 100 && started.elapsed().as_secs_f64() < SECONDS) {
        fastest = fastest.min(once()?);
        runs += 1;
    }
    Ok(fastest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_plausible() {
        for measurement in measure(&Device::cpu(1).unwrap()).unwrap() {
            assert!(measurement.value > 0.01 && measurement.value < 1e6, "{measurement:?}");
        }
    }
}
