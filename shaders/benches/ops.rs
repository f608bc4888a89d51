//! Speed of the operations that carry the models:
//! `cargo bench -p celldag-shaders --bench ops -- [DEVICE] [THREADS] [FAMILY] [--json] [--json=FILE]`.
//!
//! FAMILY is the beginning of a family's name: linear, product, attention, attention_backward, ragged, performer, rows.
//! Prints a Markdown table, or with `--json` one line of JSON for each case, from which tests/python/torch_ops.py times
//! the same case in PyTorch; `--json=FILE` writes the lines to a file beside the table. Variables are described in
//! docs/benchmarks.md: CELLDAG_BENCH_SIZES, _PRECISION, _CPU_TIME, CELLDAG_GPU_PEAK_TFLOPS.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

mod cases;
mod common;

use std::fmt::Write as _;

use cases::{Case, Sizes};
use celldag_shaders::Device;
use common::{Arguments, mean_processor_time, peak, precision};

/// The `gemm` crate alone, with its own parallelism: what a product on the CPU is made with.
#[expect(unsafe_code, reason = "the crate takes raw pointers")]
fn bare_gemm(pool: &rayon::ThreadPool, [m, n, k]: [usize; 3]) -> f64 {
    let (a, b, mut c) = (vec![0.5f32; m * k], vec![0.25f32; n * k], vec![0.0f32; m * n]);
    let threads = pool.current_num_threads();
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    // SAFETY: the three vectors have the sizes of their matrices.
    let mut run = || unsafe {
        let (out, left, right) = (c.as_mut_ptr(), a.as_ptr(), b.as_ptr());
        let (n_stride, k_stride) = (n as isize, k as isize);
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
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            parallelism,
        );
    };
    pool.install(|| {
        if std::env::var_os("CELLDAG_BENCH_CPU_TIME").is_some() {
            return mean_processor_time(threads, run);
        }
        run();
        let once = |()| {
            let start = std::time::Instant::now();
            run();
            start.elapsed().as_secs_f64()
        };
        std::iter::repeat_n((), 20).map(once).fold(f64::INFINITY, f64::min)
    })
}

/// One line of JSON.
fn line(device: &Device, case: &Case, seconds: f64) -> String {
    let share = case.flops / seconds / peak(device.info()).map_or(f64::NAN, |peak| peak.flops(precision()));
    let mut text = format!(
        "{{\"family\": {:?}, \"what\": {:?}, \"sizes\": {:?}, \"precision\": \"{}\", \"seconds\": {seconds:e}, \
         \"gflops\": {:.2}, \"gbytes\": {:.2}, \"tokens_per_second\": {:.0}",
        case.family,
        case.what,
        case.sizes,
        precision(),
        case.flops / seconds / 1e9,
        case.bytes / seconds / 1e9,
        case.rows / seconds,
    );
    if share.is_finite() {
        write!(text, ", \"of_peak\": {share:.4}").unwrap();
    }
    text + "}"
}

fn main() {
    let arguments = Arguments::new();
    let choice: String = arguments.word(0, "cpu".to_owned());
    let threads = arguments.word(1, 2);
    let family: String = arguments.word(2, String::new());
    let Some(device) = common::open(&choice, threads) else { return };
    let info = device.info();
    let published = peak(info);
    let file = arguments.flag("json").filter(|path| !path.is_empty());
    let only_json = arguments.flag("json") == Some("");
    let mut lines = String::new();
    if !only_json {
        println!(
            "{}, {}, products in {}, sizes {:?}",
            info.name,
            info.driver,
            precision(),
            Sizes::chosen(info)
        );
        match published {
            Some(peak) => println!("published peaks: {peak:?}"),
            None => println!("no published peak"),
        }
        println!(
            "\n| case | ms | GFLOP/s | GB/s | tokens/s | of peak | gemm crate alone |\n|---|---|---|---|---|---|---|"
        );
    }
    let native = info.backend == "cpu";
    // Kept to the end: the time of threads that are gone would be missing from the counters.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(if native { threads } else { 1 }).build().unwrap();
    for make in cases::all(Sizes::chosen(info)) {
        if !make.family.starts_with(&family) {
            continue;
        }
        let case = make.on(&device);
        let seconds = common::best(&device, threads, &*case.run);
        let json = line(&device, &case, seconds);
        if only_json {
            println!("{json}");
            continue;
        }
        lines += &json;
        lines.push('\n');
        let cell = |value: f64| if value > 0.0 { format!("{value:.1}") } else { String::new() };
        let share = published.map_or(f64::NAN, |peak| case.flops / seconds / peak.flops(precision()));
        let share = if share.is_finite() { format!("{:.1} %", 100.0 * share) } else { String::new() };
        let bare = match case.sizes[..] {
            [m, n, k] if native && case.family == "linear" => {
                cell(case.flops / bare_gemm(&pool, [m, n, k]) / 1e9)
            }
            _ => String::new(),
        };
        println!(
            "| {} | {:.3} | {} | {} | {:.0} | {share} | {bare} |",
            case.what,
            seconds * 1e3,
            cell(case.flops / seconds / 1e9),
            cell(case.bytes / seconds / 1e9),
            case.rows / seconds,
        );
    }
    if let Some(path) = file {
        fs_err::write(path, lines).unwrap();
    }
}
