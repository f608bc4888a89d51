//! All tests of this crate that need no process of their own, in one program: linking it once instead of once a file is
//! most of what a build of the tests costs.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips and stops at what fails"
)]

mod cells;
mod checkpoints;
mod tokenizer;
