//! Every family of kernels once, at the sizes of a transformer on single cells: time, arithmetic and traffic, and the share
//! of the device's own best (the fastest matrix product; the fastest copy):
//! `cargo bench -p celldag-shaders --bench kernels -- [DEVICE] [THREADS] [ROWS]`. Prints a Markdown table.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

use std::time::Instant;

use celldag_shaders::ops::{self, Activation, Attention, Denominator, Dropout, PerformerSettings, Pool};
use celldag_shaders::{Device, Ids, Result, Segments, Tape, Tensor};

/// Columns of the row-wise cases, and of attention (8 heads of 64).
const WIDTH: usize = 512;
const HEADS: usize = 8;

struct Bench {
    device: Device,
    rows: usize,
    flops: f64,
    bytes: f64,
}

/// What a case does: floating-point operations, and values that it must read and write at least.
struct Work {
    flops: f64,
    values: f64,
}

impl Bench {
    fn tensor(&self, shape: &[usize]) -> Tensor {
        let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let count: usize = shape.iter().product();
        self.device.upload(shape, &(0..count as u32).map(value).collect::<Vec<_>>()).unwrap()
    }

    /// Seconds of the fastest of some runs, after one that compiles.
    fn seconds(&self, run: &dyn Fn() -> Result<Tensor>) -> f64 {
        let once = || {
            let start = Instant::now();
            let out = run().unwrap();
            let rows = out.shape()[0];
            let flat = out.detach().reshape(&[rows, out.len() / rows]).unwrap();
            let all = Segments::new(&self.device, &[rows]).unwrap();
            ops::pool(&flat, &all, Pool::First).unwrap().read().unwrap();
            start.elapsed().as_secs_f64()
        };
        once();
        let started = Instant::now();
        let (mut best, mut runs) = (f64::INFINITY, 0);
        while runs < 3 || (runs < 100 && started.elapsed().as_secs_f64() < 0.5) {
            best = best.min(once());
            runs += 1;
        }
        best
    }

    fn case(&self, name: &str, work: &Work, run: &dyn Fn() -> Result<Tensor>) {
        let seconds = self.seconds(run);
        let (flops, bytes) = (work.flops / seconds, 4.0 * work.values / seconds);
        println!(
            "| {name} | {:.2} | {:.1} | {:.1} | {:.1} | {:.0} % | {:.0} % |",
            seconds * 1e3,
            work.flops / (4.0 * work.values),
            flops / 1e9,
            bytes / 1e9,
            100.0 * flops / self.flops,
            100.0 * bytes / self.bytes,
        );
    }

    /// The gradients of `run` at its operands, after the forward pass that they need.
    fn backward(&self, operands: &[&Tensor], run: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Tensor> {
        let tape = Tape::new();
        let watched: Vec<Tensor> = operands.iter().map(|tensor| tape.watch(tensor)).collect();
        let out = run(&watched)?;
        let gradients = tape.gradients(&out, &out.detach())?;
        let last = watched.last().and_then(|tensor| gradients.of(tensor));
        Ok(last.unwrap().clone())
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let choice = arguments.next().unwrap_or_else(|| "cpu".to_owned());
    let number = |text: Option<String>, default| text.and_then(|text| text.parse().ok()).unwrap_or(default);
    let threads = number(arguments.next(), 2);
    let rows = number(arguments.next(), 2048);
    let device = Device::open(&choice, threads).unwrap();
    let mut bench = Bench { device, rows, flops: 1.0, bytes: 1.0 };
    let (n, w) = (rows as f64, WIDTH as f64);
    let x = bench.tensor(&[rows, WIDTH]);
    let big = bench.tensor(&[8 * rows, WIDTH]);
    let weight = bench.tensor(&[WIDTH, WIDTH]);
    let linear = || ops::linear(&x, &weight, None, Activation::None);
    bench.flops = 2.0 * n * w * w / bench.seconds(&linear);
    bench.bytes = 4.0 * 16.0 * n * w / bench.seconds(&|| ops::scale(&big, 2.0));
    println!("{:?}\n", bench.device.info());
    println!("best product {:.1} GFLOP/s, best copy {:.1} GB/s\n", bench.flops / 1e9, bench.bytes / 1e9);
    println!("| case | ms | FLOP/byte | GFLOP/s | GB/s | of best product | of best copy |");
    println!("|---|---|---|---|---|---|---|");
    products(&bench, &x, &weight);
    attentions(&bench, &x);
    row_wise(&bench, &x);
    gathers(&bench, &x);
}

fn products(bench: &Bench, x: &Tensor, weight: &Tensor) {
    let (n, w) = (bench.rows as f64, WIDTH as f64);
    let bias = bench.tensor(&[WIDTH]);
    let work = Work { flops: 2.0 * n * w * w, values: 2.0 * n * w + w * w };
    bench.case("linear", &work, &|| ops::linear(x, weight, None, Activation::None));
    bench.case("linear, bias and GELU", &work, &|| ops::linear(x, weight, Some(&bias), Activation::Gelu));
    bench.case("product TN (gradient of a weight)", &work, &|| ops::matmul(x, x, ops::Layout::TN));
    let narrow = bench.tensor(&[8, WIDTH]);
    let work = Work { flops: 16.0 * n * w, values: n * w + 8.0 * (n + w) };
    bench.case("linear to 8 columns (LoRA)", &work, &|| ops::linear(x, &narrow, None, Activation::None));
}

fn attentions(bench: &Bench, x: &Tensor) {
    let (n, w) = (bench.rows as f64, WIDTH as f64);
    let segments = Segments::new(&bench.device, &[bench.rows / 2, bench.rows - bench.rows / 2]).unwrap();
    let pairs = segments.ranges().map(|range| (range.len() as f64).powi(2)).sum::<f64>();
    let settings = Attention::multi_head(HEADS, false);
    let work = Work { flops: 4.0 * pairs * w, values: 4.0 * n * w };
    bench.case("attention", &work, &|| ops::attention_with(x, x, x, &segments, &settings));
    let work = Work { flops: 14.0 * pairs * w, values: 8.0 * n * w };
    bench.case("attention, forward and backward", &work, &|| {
        bench.backward(&[x, x, x], |t| ops::attention_with(&t[0], &t[1], &t[2], &segments, &settings))
    });
    let features = 266;
    let projection = bench.tensor(&[features, WIDTH / HEADS]);
    let work = Work { flops: 8.0 * n * w * features as f64, values: 4.0 * n * w };
    bench.case("FAVOR+ attention, 266 features", &work, &|| {
        ops::performer_attention(x, x, x, &projection, &segments, HEADS, PerformerSettings::default())
    });
    let omega = bench.tensor(&[WIDTH / HEADS, 32]);
    let work = Work { flops: 8.0 * n * w * 32.0, values: 4.0 * n * w };
    bench.case("attention by 32 ReLU features", &work, &|| {
        ops::feature_attention(x, x, x, &omega, &segments, HEADS, Denominator::AtLeast(1e-6))
    });
    let work = Work { flops: 8.0 * n * w * w / HEADS as f64, values: 4.0 * n * w };
    bench.case("flow attention", &work, &|| ops::flow_attention(x, x, x, &segments, HEADS));
}

fn row_wise(bench: &Bench, x: &Tensor) {
    let (n, w) = (bench.rows as f64, WIDTH as f64);
    let row = bench.tensor(&[WIDTH]);
    let work = |flops: f64, values: f64| Work { flops: flops * n * w, values: values * n * w };
    bench.case("add", &work(1.0, 3.0), &|| ops::add(x, x));
    bench.case("mul", &work(1.0, 3.0), &|| ops::mul(x, x));
    bench.case("GELU", &work(25.0, 2.0), &|| ops::activate(x, Activation::Gelu));
    bench.case("gated SiLU", &work(12.0, 3.0), &|| ops::swiglu(x, x));
    let norm = |x: &Tensor| ops::layer_norm(x, None, &row, &row, 1e-5);
    bench.case("layer norm", &work(8.0, 2.0), &|| norm(x));
    bench.case("layer norm, forward and backward", &work(24.0, 5.0), &|| {
        bench.backward(&[x], |t| norm(&t[0]))
    });
    bench.case("RMS norm", &work(5.0, 2.0), &|| ops::rms_norm(x, None, &row, 1e-5));
    bench.case("softmax", &work(12.0, 2.0), &|| ops::softmax(x));
    let dropout = Dropout { probability: 0.1, seed: 1, stream: 0 };
    bench.case("dropout", &work(30.0, 2.0), &|| ops::dropout(x, dropout, None));
    bench.case("column sum", &work(1.0, 1.0), &|| ops::column_sum(x)?.reshape(&[1, WIDTH]));
}

fn gathers(bench: &Bench, x: &Tensor) {
    let (n, w) = (bench.rows as f64, WIDTH as f64);
    let ids: Vec<u32> =
        (0..bench.rows as u32).map(|i| i.wrapping_mul(2_654_435_761) % bench.rows as u32).collect();
    let ids = Ids::new(&bench.device, &ids).unwrap();
    let segments = Segments::new(&bench.device, &[bench.rows / 2, bench.rows - bench.rows / 2]).unwrap();
    let work = |flops: f64, values: f64| Work { flops: flops * n * w, values: values * n * w };
    bench.case("embedding lookup", &work(0.0, 2.0), &|| ops::embed(x, &ids));
    bench.case("embedding lookup, forward and backward", &work(1.0, 4.0), &|| {
        bench.backward(&[x], |t| ops::embed(&t[0], &ids))
    });
    let mean = Pool::Mean { skip_first: 0, skip_last: 0 };
    bench.case("mean over segments", &work(1.0, 1.0), &|| ops::pool(x, &segments, mean));
    bench.case("maximum over segments", &work(1.0, 1.0), &|| {
        ops::pool(x, &segments, Pool::Max { skip_first: 0, skip_last: 0 })
    });
}
