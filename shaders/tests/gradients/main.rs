//! Backward passes: every operation against central differences on both backends, and the tape itself. One file for
//! each family of operations.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod product;
mod tape;
