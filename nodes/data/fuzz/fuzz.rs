//! Runs one target of `tests/fuzz/targets.rs`, chosen by `CELLDAG_FUZZ_TARGET`, under libFuzzer.

#![no_main]

#[path = "../tests/fuzz/targets.rs"]
mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let wanted = std::env::var("CELLDAG_FUZZ_TARGET").unwrap_or_default();
    let found = targets::TARGETS.into_iter().find(|(name, _)| *name == wanted);
    let known: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    found.unwrap_or_else(|| panic!("CELLDAG_FUZZ_TARGET must be one of {}", known.join(", "))).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
