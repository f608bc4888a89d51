//! All tests of this crate that need no process of their own, in one program: linking it once instead of once a file is
//! most of what a build of the tests costs.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test says what it skips and stops at what fails"
)]

mod agree;
mod common;
mod cooperative;
mod device;
mod every_op;
mod gradients;
mod invariance;
mod memory;
mod planned;
mod training;
mod valid;
