//! How fast a device is at what the models do most, for `celldag devices --bench`, and the clock that the benches use.

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
    pub what: String,
    /// Best of a few runs.
    pub value: f64,
    /// `GFLOP/s` or `GB/s`.
    pub unit: &'static str,
}

/// Seconds to spend on each measurement.
const SECONDS: f64 = 1.0;

/// The least seconds between two waits for a GPU.
const BETWEEN_WAITS: f64 = 0.02;

/// Measures a linear layer, attention, and the bandwidth of an element-wise operation on tensors that fit in no cache;
/// on hardware with as many rows as fill it.
///
/// # Errors
/// The device's errors.
pub fn measure(device: &Device) -> Result<Vec<Measurement>> {
    let info = device.info();
    let cells = if info.backend == "gpu" && !info.software { 8 } else { 1 };
    let (tokens, width, heads) = (2048, 512, 8);
    let rows = cells * tokens;
    let x = pattern(device, &[rows, width])?;
    let weight = pattern(device, &[width, width])?;
    let segments = Segments::new(device, &vec![tokens; cells])?;
    let linear = fastest(SECONDS, || ops::linear(&x, &weight, None, Activation::None))?;
    let attention = fastest(SECONDS, || ops::attention(&x, &x, &x, &segments, heads, false))?;
    let big = pattern(device, &[32 * 1024, width])?;
    let add = fastest(SECONDS, || ops::add(&big, &big))?;
    let product = (2 * rows * width * width) as f64;
    let scores = (4 * cells * tokens * tokens * width) as f64;
    let measurement = |what, value: f64, unit| Measurement { what, value: value / 1e9, unit };
    Ok(vec![
        measurement(format!("linear layer {rows} x {width} x {width}"), product / linear, "GFLOP/s"),
        measurement(
            format!("attention, {cells} x {tokens} tokens, {heads} heads of 64"),
            scores / attention,
            "GFLOP/s",
        ),
        // Read once and written once: both operands are one tensor.
        measurement("addition of 64 MiB".to_owned(), (2 * 4 * big.len()) as f64 / add, "GB/s"),
    ])
}

/// A tensor of values between -1 and 1 that are neither constant nor costly to make.
///
/// # Errors
/// The device's errors.
pub fn pattern(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let count: usize = shape.iter().product();
    device.upload(shape, &(0..count as u32).map(value).collect::<Vec<_>>())
}

/// Waits until the device has made `tensor`, by reading its first row.
///
/// # Errors
/// The device's errors.
pub fn finish(tensor: &Tensor) -> Result<()> {
    let rows = tensor.shape().first().copied().unwrap_or(1);
    let flat = tensor.detach().reshape(&[rows, tensor.len() / rows.max(1)])?;
    ops::pool(&flat, &Segments::new(tensor.device(), &[rows])?, Pool::First)?.read()?;
    Ok(())
}

/// Seconds of the fastest of the runs that fit into about `seconds`, after one that compiles; at least four, unless they
/// are very slow. A GPU is waited for after as many runs as take 20 ms, and the time is divided by their number: the way
/// there and back takes longer than a small operation.
///
/// # Errors
/// Those of `run`.
pub fn fastest(seconds: f64, run: impl Fn() -> Result<Tensor>) -> Result<f64> {
    let timed = |repeats: u32| -> Result<f64> {
        let start = Instant::now();
        for _ in 1..repeats {
            run()?;
        }
        finish(&run()?)?;
        Ok(start.elapsed().as_secs_f64() / f64::from(repeats))
    };
    let first = run()?;
    finish(&first)?;
    let native = first.device().info().backend == "cpu";
    drop(first);
    let once = timed(1)?;
    let repeats = if native { 1 } else { (BETWEEN_WAITS / once).ceil().clamp(1.0, 100.0) as u32 };
    let started = Instant::now();
    let (mut best, mut runs) = (once, 0);
    let more = |runs| {
        let spent = started.elapsed().as_secs_f64();
        (runs < 3 && spent < 3.0 * seconds) || (runs < 100 && spent < seconds)
    };
    while more(runs) {
        best = best.min(timed(repeats)?);
        runs += 1;
    }
    Ok(best)
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
