//! Cells per second of a transformer encoder with random weights over ragged batches:
//! `cargo bench -p celldag-shaders --bench encoder -- DEVICE THREADS LAYERS WIDTH HEADS INNER LENGTHS [TOKENS A BATCH]`,
//! where LENGTHS is a file with the token count of one cell on each line. Post-norm layers with ReLU, as scGPT's. Prints
//! one line of JSON.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

use std::time::Instant;

use celldag_shaders::ops::{self, Activation, Pool};
use celldag_shaders::{Device, Ids, Result, Segments, Tensor};

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
    let count: usize = shape.iter().product();
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    device.upload(shape, &(0..count as u32).map(|i| scale * value(i)).collect::<Vec<_>>()).unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| !text.starts_with("--")).collect();
    let number = |at: usize| arguments[at].parse::<usize>().unwrap();
    let device = Device::open(&arguments[0], number(1)).unwrap();
    let (depth, width, heads, inner) = (number(2), number(3), number(4), number(5));
    let text = fs_err::read_to_string(&arguments[6]).unwrap();
    let mut lengths: Vec<usize> = text.lines().map(|line| line.trim().parse().unwrap()).collect();
    let budget = arguments.get(7).map_or(4096, |text| text.parse().unwrap());
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
    println!(
        "{{\"device\": {:?}, \"cells\": {cells}, \"tokens\": {}, \"seconds\": {seconds:.3}, \"cells_per_second\": {:.4}, \
         \"checksum\": {checksum:e}}}",
        device.info().name,
        lengths.iter().sum::<usize>(),
        cells as f64 / seconds,
    );
}
