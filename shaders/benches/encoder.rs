//! Cells per second of a transformer encoder with random weights over ragged batches:
//! `cargo bench -p celldag-shaders --bench encoder -- DEVICE THREADS LAYERS WIDTH HEADS INNER LENGTHS [TOKENS A BATCH]`,
//! where LENGTHS is a file with the token count of one cell on each line. Post-norm layers with ReLU, as scGPT's. Prints
//! one line of JSON.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

mod common;

use std::time::Instant;

use celldag_shaders::measure::pattern;
use celldag_shaders::ops::{self, Activation, Pool};
use celldag_shaders::{Device, Ids, Result, Segments, Tensor};
use common::{Arguments, precision};

/// Weights of a layer: packed projections in turn, then the feed-forward part.
struct Layer {
    linear: Vec<(Tensor, Tensor)>,
    norm: (Tensor, Tensor),
    heads: usize,
}

impl Layer {
    fn random(device: &Device, width: usize, heads: usize, inner: usize) -> Layer {
        let linear = [(width, width); 4].into_iter().chain([(inner, width), (width, inner)]);
        let weight = |(outputs, inputs): (usize, usize)| {
            let scale = (3.0 / inputs as f32).sqrt();
            (random(device, &[outputs, inputs], scale), random(device, &[outputs], 0.1))
        };
        let ones = device.upload(&[width], &vec![1.0; width]).unwrap();
        let norm = (ones, device.zeros(&[width]).unwrap());
        Layer { linear: linear.map(weight).collect(), norm, heads }
    }

    fn forward(&self, x: &Tensor, segments: &Segments) -> Result<Tensor> {
        let linear = |number: usize, x: &Tensor, activation| {
            ops::linear(x, &self.linear[number].0, Some(&self.linear[number].1), activation)
        };
        let norm = |x: &Tensor, add: &Tensor| ops::layer_norm(x, Some(add), &self.norm.0, &self.norm.1, 1e-5);
        let none = Activation::None;
        let (q, k, v) = (linear(0, x, none)?, linear(1, x, none)?, linear(2, x, none)?);
        let attended = ops::attention(&q, &k, &v, segments, self.heads, false)?;
        let x = norm(&linear(3, &attended, none)?, x)?;
        norm(&linear(5, &linear(4, &x, Activation::Relu)?, none)?, &x)
    }
}

/// Reproducible values between -scale and scale.
fn random(device: &Device, shape: &[usize], scale: f32) -> Tensor {
    ops::scale(&pattern(device, shape).unwrap(), scale).unwrap()
}

fn main() {
    let arguments = Arguments::new();
    let Some(device) = common::open(&arguments.word(0, "cpu".to_owned()), arguments.word(1, 0)) else {
        return;
    };
    let [depth, width, heads, inner] =
        [(2, 12), (3, 512), (4, 8), (5, 512)].map(|(at, word)| arguments.word(at, word));
    let text = fs_err::read_to_string(arguments.word(6, String::new())).unwrap();
    let mut lengths: Vec<usize> = text.lines().map(|line| line.trim().parse().unwrap()).collect();
    let budget = arguments.word(7, 4096);
    lengths.sort_unstable_by(|a, b| b.cmp(a));

    let layers: Vec<Layer> = (0..depth).map(|_| Layer::random(&device, width, heads, inner)).collect();
    let table = random(&device, &[60_697, width], 1.0);
    let embed = |lengths: &[usize]| {
        let tokens: u32 = lengths.iter().sum::<usize>() as u32;
        let ids: Vec<u32> = (0..tokens).map(|i| i.wrapping_mul(2_654_435_761) % 60_697).collect();
        let segments = Segments::new(&device, lengths).unwrap();
        let mut x = ops::embed(&table, &Ids::new(&device, &ids).unwrap()).unwrap();
        for layer in &layers {
            x = layer.forward(&x, &segments).unwrap();
        }
        ops::pool(&x, &segments, Pool::First).unwrap().read().unwrap()
    };
    embed(&lengths[lengths.len() - 2..]);
    let start = Instant::now();
    let mut checksum = 0.0;
    let mut first = 0;
    while first < lengths.len() {
        let mut end = first + 1;
        let mut tokens = lengths[first];
        while end < lengths.len() && tokens + lengths[end] <= budget {
            tokens += lengths[end];
            end += 1;
        }
        checksum += embed(&lengths[first..end]).iter().map(|value| f64::from(*value)).sum::<f64>();
        first = end;
    }
    let seconds = start.elapsed().as_secs_f64();
    let cells = lengths.len();
    let tokens: usize = lengths.iter().sum();
    println!(
        "{{\"device\": {:?}, \"precision\": \"{}\", \"cells\": {cells}, \"tokens\": {tokens}, \"seconds\": {seconds:.3}, \
         \"cells_per_second\": {:.4}, \"tokens_per_second\": {:.0}, \"checksum\": {checksum:e}}}",
        device.info().name,
        precision(),
        cells as f64 / seconds,
        tokens as f64 / seconds,
    );
}
