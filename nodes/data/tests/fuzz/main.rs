//! Mutations of sound files, thrown at every reader: none may panic, hang, or take memory out of proportion.
//!
//! Two seconds a target by default. `CELLDAG_FUZZ_SECONDS=600 cargo test --release -p celldag-data --test fuzz` runs each for
//! ten minutes; `CELLDAG_FUZZ_SEED` takes other random numbers. An input that fails is written to a file, which
//! `CELLDAG_FUZZ_INPUT=FILE` with the name of the test runs alone. `nodes/data/fuzz` runs the same targets guided by
//! coverage.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests fail and speak as tests do")]
#![expect(clippy::cast_possible_truncation, reason = "random numbers are cut on purpose")]

mod heap;
mod mutate;
mod seeds;
#[expect(unreachable_pub, reason = "shared with another crate")]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mutate::Random;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Memory beside what is in proportion to the input: the widest view that is accepted, and buffers.
const BASE_MEMORY: usize = 300 << 20;
const MEMORY_PER_BYTE: usize = 512;
/// Time for one input, on a loaded machine and without optimisation.
const MAX_TIME: Duration = Duration::from_secs(20);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// What is wrong with how a target took an input.
fn problem(target: targets::Target, data: &[u8]) -> Option<String> {
    let began = Instant::now();
    let mut panicked = false;
    let most = heap::most(|| panicked = catch_unwind(AssertUnwindSafe(|| target(data))).is_err());
    let took = began.elapsed();
    if panicked {
        Some("it panicked".to_owned())
    } else if took > MAX_TIME {
        Some(format!("it took {took:?}"))
    } else if most > BASE_MEMORY + MEMORY_PER_BYTE * data.len() {
        Some(format!("it held {most} bytes"))
    } else {
        None
    }
}

fn run(name: &str) {
    let (_, target) = targets::TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    if let Some(file) = std::env::var_os("CELLDAG_FUZZ_INPUT") {
        assert_eq!(problem(target, &fs_err::read(file).unwrap()), None);
        return;
    }
    let seeds = seeds::of(name);
    for seed in &seeds {
        assert_eq!(problem(target, seed), None, "a seed of {name}");
    }
    let seed = setting("CELLDAG_FUZZ_SEED").unwrap_or(1);
    let mut random = Random(seed);
    let end = Instant::now() + Duration::from_secs(setting("CELLDAG_FUZZ_SECONDS").unwrap_or(2));
    let mut inputs = 0_u64;
    while Instant::now() < end {
        let data = mutate::mutate(&mut random, &seeds);
        if let Some(problem) = problem(target, &data) {
            let path = std::env::temp_dir().join(format!("celldag-fuzz-{name}-{seed}-{inputs}"));
            fs_err::write(&path, &data).unwrap();
            panic!("{name}: {problem}; the input is {}", path.display());
        }
        inputs += 1;
    }
    println!("{name}: {inputs} inputs");
}

macro_rules! fuzz {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            run(stringify!($name));
        }
    )*};
}
fuzz!(pickle, weights, torch_pickle, index, vocabulary, inspect);
