//! Dropout (Srivastava and others 2014) whose noise can be computed again: nothing is stored for the backward pass, and
//! a run can be replayed on any device.

use super::cpu_tensor;
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Cost, Launch};
use crate::kernels::Kernel;
use crate::segments::Ids;
use crate::tape::record;
use crate::tensor::Tensor;

/// How much is dropped, and which noise decides.
///
/// The noise of column c of row r is word c mod 4 of Philox4x32-10 for the key `seed` and the counter (c / 4, key of the
/// row, `stream`), lower words first. It depends on nothing else: neither on the device nor on the rest of the batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability that a value becomes 0, from 0 to below 1. The others are divided by 1 minus this.
    pub probability: f32,
    /// Seed of the run.
    pub seed: u64,
    /// Place of use: must differ for every step and every layer that is to have noise of its own.
    pub stream: u64,
}

/// [`Dropout`] as kernels want it.
#[derive(Clone, Copy)]
pub(crate) struct DropoutWords {
    /// Random words below this drop their value.
    pub(crate) threshold: u32,
    /// Factor of the values that stay.
    pub(crate) scale: f32,
    pub(crate) seed: [u32; 2],
    pub(crate) stream: [u32; 2],
}

/// Each value of `x`, whose first axis are rows, times 0 with the probability of `dropout`, else divided by its
/// complement, so that the mean stays. The noise of a row is chosen by its value in `keys`, or by its number if there are
/// none; give keys (a hash of cell and position) when the noise must not depend on which rows make up a batch.
/// Not-a-number stays.
///
/// # Errors
/// The probability is not in 0 to 1; not one key a row; devices differ; the device's errors.
pub fn dropout(x: &Tensor, dropout: Dropout, keys: Option<&Ids>) -> Result<Tensor> {
    const OP: &str = "dropout";
    let words = dropout.words(OP)?;
    let rows = x.shape().first().copied().unwrap_or(1);
    if let Some(keys) = keys {
        if keys.len() != rows {
            return Err(Error::shape(OP, format!("{} keys for {rows} rows", keys.len())));
        }
        keys.expect_home(OP, x)?;
    }
    let Some(words) = words else { return Ok(x.clone()) };
    let out = drop_values(OP, x, &words, keys)?;
    let keys = keys.cloned();
    Ok(record(out, [x], |_| {
        move |gradient: &Tensor| Ok([Some(drop_values(OP, gradient, &words, keys.as_ref())?)])
    }))
}

impl Dropout {
    /// None if nothing is dropped.
    fn words(self, op: &'static str) -> Result<Option<DropoutWords>> {
        const WORDS: f64 = 4_294_967_296.0;
        let p = self.probability;
        if !(0.0..1.0).contains(&p) {
            return Err(Error::shape(op, format!("the probability {p} is not from 0 to below 1")));
        }
        let halves = |word: u64| [word as u32, (word >> 32) as u32];
        Ok((p > 0.0).then(|| DropoutWords {
            threshold: (f64::from(p) * WORDS).round() as u32,
            scale: (1.0 / (1.0 - f64::from(p))) as f32,
            seed: halves(self.seed),
            stream: halves(self.stream),
        }))
    }
}

fn drop_values(op: &'static str, x: &Tensor, words: &DropoutWords, keys: Option<&Ids>) -> Result<Tensor> {
    let rows = x.shape().first().copied().unwrap_or(1);
    let columns = x.shape().iter().skip(1).product::<usize>();
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(op)?;
            Ok(cpu_tensor(x.device(), cpu, x.shape(), |out| {
                cpu::dropout::dropout(cpu, values, columns, words, keys.map(Ids::values), out);
            }))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(x.len())?;
            let DropoutWords { threshold, scale, seed, stream } = *words;
            for window in gpu.windows(rows, columns)? {
                // One invocation for four columns.
                let quads = columns.div_ceil(4);
                let count = window.len() * quads;
                let values = (window.len() * columns) as f64;
                let mut buffers = vec![x.window(op, &window)?, out.rows(&window, columns)];
                let mut first_row = window.start;
                if let Some(keys) = keys {
                    let (list, first) = keys.part(op, &window, 1)?;
                    buffers.push(list);
                    first_row -= first;
                }
                let shape = [count, quads, columns, first_row].map(|size| size as u32);
                let parameters: Vec<u32> =
                    [&shape[..], &[threshold, scale.to_bits()], &seed, &stream].concat();
                gpu.launch(&Launch {
                    kernel: kernel(keys.is_some()),
                    parameters: &parameters,
                    buffers: &buffers,
                    groups: (count as u64).div_ceil(super::ELEMENTS),
                    cost: Cost { flops: 80.0 * values, bytes: 8.0 * values },
                })?;
            }
            Ok(Tensor::from_gpu(x.device(), x.shape(), out))
        }
    }
}

fn kernel(keyed: bool) -> Kernel {
    Kernel::new("dropout", &[("KEYED", u32::from(keyed))])
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    [false, true].map(kernel).to_vec()
}
