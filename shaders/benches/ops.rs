//! Speed of the operations that carry the models:
//! `cargo bench -p celldag-shaders --bench ops -- [DEVICE] [THREADS] [linear|attention|performer|rows] [--json]`.
//! `CELLDAG_BENCH_PRECISION` chooses the precision of products.
//! Prints one line per case: best time of several runs and GFLOP/s, and for the CPU the ratio to the bare `gemm` crate.
//! With `CELLDAG_BENCH_CPU_TIME=1` (Linux) times are seconds of processor time divided by the threads, which other
//! programs on the machine disturb less.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

use std::time::Instant;

use celldag_shaders::ops::{self, Activation, Pool};
use celldag_shaders::{Device, DeviceOptions, Segments, Tape, Tensor};

/// Seconds of processor time of all threads of this process, from the scheduler's nanosecond counters.
fn processor_seconds() -> f64 {
    let tasks = fs_err::read_dir("/proc/self/task").unwrap();
    let nanoseconds = tasks.map(|task| {
        let text = fs_err::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// Best time of the runs that fit into about a second, at least three; with processor time, their mean.
fn best(threads: usize, mut run: impl FnMut()) -> f64 {
    run();
    let by_processor = std::env::var_os("CELLDAG_BENCH_CPU_TIME").is_some();
    let (started, spent) = (Instant::now(), by_processor.then(processor_seconds));
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 3 || (runs < 1000 && started.elapsed().as_secs_f64() < 1.0) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    spent.map_or(best, |spent| (processor_seconds() - spent) / f64::from(runs) / threads as f64)
}

fn values(count: usize) -> Vec<f32> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn tensor(device: &Device, shape: &[usize]) -> Tensor {
    device.upload(shape, &values(shape.iter().product())).unwrap()
}

/// Waits for the device by reading one value that depends on the result.
fn finish(tensor: &Tensor) {
    let one = Segments::new(tensor.device(), &[tensor.shape()[0]]).unwrap();
    ops::pool(tensor, &one, Pool::First).unwrap().read().unwrap();
}

/// The crate alone, with its own parallelism.
#[expect(unsafe_code, reason = "the crate takes raw pointers")]
fn bare_gemm(pool: &rayon::ThreadPool, [m, n, k]: [usize; 3]) -> f64 {
    let (a, b, mut c) = (values(m * k), values(n * k), vec![0.0f32; m * n]);
    let threads = pool.current_num_threads();
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    // SAFETY: the three vectors have the sizes of their matrices.
    let mut run = || unsafe {
        let (out, left, right) = (c.as_mut_ptr(), a.as_ptr(), b.as_ptr());
        let (n_stride, k_stride) = (n as isize, k as isize);
        let one = 1.0;
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            n_stride,
            false,
            left,
            1,
            k_stride,
            right,
            k_stride,
            1,
            0.0,
            one,
            false,
            false,
            false,
            parallelism,
        );
    };
    pool.install(|| best(threads, &mut run))
}

/// One line of JSON for each case that tests/python/torch_ops.py times in PyTorch under the same name.
fn print_json(device: &Device, threads: usize) {
    let print = |what: String, flops: f64, seconds: f64| {
        println!("{{\"what\": \"{what}\", \"gflops\": {:.2}}}", flops / seconds / 1e9);
    };
    for [m, n, k] in [
        [2048, 256, 256],
        [2048, 512, 512],
        [2048, 1536, 512],
        [2048, 2048, 512],
        [2048, 512, 2048],
        [64, 512, 512],
        [1024, 1024, 1024],
    ] {
        let (x, w, bias) = (tensor(device, &[m, k]), tensor(device, &[n, k]), tensor(device, &[n]));
        let run = || finish(&ops::linear(&x, &w, Some(&bias), Activation::None).unwrap());
        print(format!("linear {m} x {n} x {k}"), 2.0 * (m * n * k) as f64, best(threads, run));
    }
    for [tokens, heads, width] in [[1200, 4, 64], [1200, 8, 64], [2048, 4, 64], [2048, 8, 64]] {
        let [q, k, v] = [(); 3].map(|()| tensor(device, &[tokens, heads * width]));
        let segments = Segments::new(device, &[tokens]).unwrap();
        let run = || finish(&ops::attention(&q, &k, &v, &segments, heads, false).unwrap());
        let flops = 4.0 * (tokens * tokens * heads * width) as f64;
        print(format!("attention {tokens} tokens, {heads} heads x {width}"), flops, best(threads, run));
    }
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let choice = arguments.next().unwrap_or_else(|| "cpu".to_owned());
    let threads = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(2);
    let family = arguments.next().unwrap_or_default();
    let wanted = |name: &str| name.starts_with(&family);
    let mut options = DeviceOptions::new(&choice, threads);
    if let Ok(precision) = std::env::var("CELLDAG_BENCH_PRECISION") {
        options.precision = precision.parse().unwrap();
    }
    let device = Device::open_with(&options).unwrap();
    if json {
        return print_json(&device, threads);
    }
    let native = device.info().backend == "cpu";
    // Kept to the end: the time of threads that are gone would be missing from the counters.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    println!("{:?}", device.info());
    for [m, n, k] in [
        [2048, 256, 256],
        [2048, 512, 256],
        [2048, 256, 512],
        [2048, 512, 512],
        [2048, 1536, 512],
        [2048, 512, 2048],
        [64, 512, 512],
        [1024, 1024, 1024],
    ] {
        if !wanted("linear") {
            continue;
        }
        let (x, w, bias) = (tensor(&device, &[m, k]), tensor(&device, &[n, k]), tensor(&device, &[n]));
        let flops = 2.0 * (m * n * k) as f64;
        let plain = best(threads, || finish(&ops::linear(&x, &w, None, Activation::None).unwrap()));
        let fused = best(threads, || finish(&ops::linear(&x, &w, Some(&bias), Activation::Gelu).unwrap()));
        print!("linear {m}x{n}x{k}: {:.3} ms, {:.1} GFLOP/s", plain * 1e3, flops / plain / 1e9);
        print!("; with bias and GELU {:.1}", flops / fused / 1e9);
        if native {
            let bare = bare_gemm(&pool, [m, n, k]);
            print!("; gemm crate {:.1}, ratio {:.2}", flops / bare / 1e9, bare / plain);
        }
        println!();
    }
    for (lengths, heads, head_width) in [
        (vec![1200], 4, 64),
        (vec![2048], 4, 64),
        (vec![1200], 8, 64),
        (vec![100, 400, 900, 1700, 300], 4, 64),
        (vec![500], 8, 32),
    ] {
        if !wanted("attention") {
            continue;
        }
        let (rows, width) = (lengths.iter().sum(), heads * head_width);
        let [q, k, v] = [(); 3].map(|()| tensor(&device, &[rows, width]));
        let segments = Segments::new(&device, &lengths).unwrap();
        let flops = 4.0 * width as f64 * lengths.iter().map(|&n: &usize| (n * n) as f64).sum::<f64>();
        let seconds = best(threads, || finish(&ops::attention(&q, &k, &v, &segments, heads, false).unwrap()));
        // The backward pass computes the scores again: five products where the forward pass has two.
        let step = best(threads, || {
            let tape = Tape::new();
            let [q, k, v] = [&q, &k, &v].map(|operand| tape.watch(operand));
            let out = ops::attention(&q, &k, &v, &segments, heads, false).unwrap();
            let gradients = tape.gradients(&out, &out).unwrap();
            [&q, &k, &v].into_iter().for_each(|operand| finish(gradients.of(operand).unwrap()));
        });
        println!(
            "attention {lengths:?} {heads} heads x {head_width}: {:.3} ms, {:.1} GFLOP/s; with backward pass {:.1}",
            seconds * 1e3,
            flops / seconds / 1e9,
            3.5 * flops / step / 1e9
        );
    }
    for (lengths, heads, head_width, features) in
        [(vec![8001], 10, 64, 266), (vec![1500; 4], 10, 64, 266), (vec![2002], 8, 64, 266)]
    {
        if !wanted("performer") {
            continue;
        }
        let (rows, width) = (lengths.iter().sum(), heads * head_width);
        let [q, k, v] = [(); 3].map(|()| tensor(&device, &[rows, width]));
        let projection = tensor(&device, &[features, head_width]);
        let segments = Segments::new(&device, &lengths).unwrap();
        let settings = ops::PerformerSettings::default();
        let run = |q: &Tensor, k: &Tensor, v: &Tensor| {
            ops::performer_attention(q, k, v, &projection, &segments, heads, settings).unwrap()
        };
        // Projections of queries and keys, the sums over the keys, and the results.
        let flops = 8.0 * (rows * width * features) as f64;
        let seconds = best(threads, || finish(&run(&q, &k, &v)));
        let step = best(threads, || {
            let tape = Tape::new();
            let [q, k, v] = [&q, &k, &v].map(|operand| tape.watch(operand));
            let out = run(&q, &k, &v);
            let gradients = tape.gradients(&out, &out).unwrap();
            [&q, &k, &v].into_iter().for_each(|operand| finish(gradients.of(operand).unwrap()));
        });
        println!(
            "performer {lengths:?} {heads} heads x {head_width}, {features} features: {:.1} ms, {:.1} GFLOP/s; with backward pass {:.1} ms, {:.1}",
            seconds * 1e3,
            flops / seconds / 1e9,
            step * 1e3,
            3.0 * flops / step / 1e9
        );
    }
    if !wanted("rows") {
        return;
    }
    let (x, row) = (tensor(&device, &[4096, 512]), tensor(&device, &[512]));
    let bytes = (4 * x.len()) as f64;
    for (name, moved, seconds) in [
        ("add", 3.0, best(threads, || finish(&ops::add(&x, &x).unwrap()))),
        (
            "layer_norm with residual",
            3.0,
            best(threads, || finish(&ops::layer_norm(&x, Some(&x), &row, &row, 1e-5).unwrap())),
        ),
        ("gelu", 2.0, best(threads, || finish(&ops::activate(&x, Activation::Gelu).unwrap()))),
    ] {
        println!("{name} [4096, 512]: {:.3} ms, {:.1} GB/s", seconds * 1e3, moved * bytes / seconds / 1e9);
    }
}
