//! What the benches share: their command line, the device, the clock, and the published peaks of adapters.

#![allow(dead_code, unused_imports, reason = "each bench uses a part of it")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "programs for developers")]

mod peak;

use std::str::FromStr;
use std::time::Instant;

use celldag_shaders::measure::{fastest, finish};
use celldag_shaders::{Device, DeviceError, DeviceOptions, Precision, Result, Tape, Tensor};

pub(crate) use peak::peak;

/// Seconds to spend on each case.
const SECONDS: f64 = 1.0;

/// Arguments of a bench: words in order, and `--NAME` or `--NAME=VALUE` in any place.
pub(crate) struct Arguments {
    words: Vec<String>,
    flags: Vec<String>,
}

impl Arguments {
    pub(crate) fn new() -> Arguments {
        let (flags, words) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
        Arguments { words, flags }
    }

    /// Word number `at`, or the default where it is not there; a word that does not parse ends the program.
    pub(crate) fn word<T: FromStr>(&self, at: usize, default: T) -> T {
        let word = self.words.get(at);
        word.map_or(default, |word| word.parse().unwrap_or_else(|_| panic!("cannot read argument {word:?}")))
    }

    /// Whether a flag was given, and its value if it has one.
    pub(crate) fn flag(&self, name: &str) -> Option<&str> {
        let values = self.flags.iter().filter_map(|flag| flag.strip_prefix("--")?.strip_prefix(name));
        values
            .filter(|rest| rest.is_empty() || rest.starts_with('='))
            .map(|rest| rest.trim_start_matches('='))
            .next()
    }
}

/// Opens a device in the precision of `CELLDAG_BENCH_PRECISION` (default f32). None, with a line that says so, if it does not
/// have that precision: then there is nothing to measure.
pub(crate) fn open(choice: &str, threads: usize) -> Option<Device> {
    let mut options = DeviceOptions::new(choice, threads);
    options.precision = precision();
    match Device::open_with(&options) {
        Ok(device) => Some(device),
        Err(error @ DeviceError::Precision { .. }) => {
            println!("not here: {error}");
            None
        }
        Err(error) => panic!("{choice}: {error}"),
    }
}

/// The precision of products that `CELLDAG_BENCH_PRECISION` asks for.
pub(crate) fn precision() -> Precision {
    std::env::var("CELLDAG_BENCH_PRECISION").map_or(Precision::F32, |text| text.parse().unwrap())
}

/// Best time of the runs that fit into about a second. With `CELLDAG_BENCH_CPU_TIME` on the native backend: mean seconds
/// of processor time divided by the threads.
pub(crate) fn best(device: &Device, threads: usize, run: &dyn Fn() -> Result<Tensor>) -> f64 {
    if device.info().backend != "cpu" || std::env::var_os("CELLDAG_BENCH_CPU_TIME").is_none() {
        return fastest(SECONDS, run).unwrap();
    }
    mean_processor_time(threads, || finish(&run().unwrap()).unwrap())
}

/// Mean seconds of processor time of some runs, divided by the threads.
pub(crate) fn mean_processor_time(threads: usize, mut run: impl FnMut()) -> f64 {
    run();
    let (started, spent) = (Instant::now(), processor_seconds());
    let mut runs = 0;
    while runs < 3 || (runs < 1000 && started.elapsed().as_secs_f64() < SECONDS) {
        run();
        runs += 1;
    }
    (processor_seconds() - spent) / f64::from(runs) / threads as f64
}

/// Seconds of processor time of all threads of this process, from the scheduler's nanosecond counters.
fn processor_seconds() -> f64 {
    let tasks = fs_err::read_dir("/proc/self/task").unwrap();
    let nanoseconds = tasks.map(|task| {
        let text = fs_err::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// The forward pass `run` of `operands` and its gradients at all of them, of which the last is given back.
pub(crate) fn step(operands: &[&Tensor], run: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Tensor> {
    let tape = Tape::new();
    let watched: Vec<Tensor> = operands.iter().map(|tensor| tape.watch(tensor)).collect();
    let out = run(&watched)?;
    let gradients = tape.gradients(&out, &out.detach())?;
    Ok(watched.last().and_then(|tensor| gradients.of(tensor)).unwrap().clone())
}
