//! Backward passes: every operation against central differences on both backends, and the tape itself. One file for
//! each family of operations.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod attention;
mod batched;
mod columns;
#[path = "../common/mod.rs"]
mod common;
mod elementwise;
mod embed;
mod linear_attention;
mod loss;
mod norms;
mod pool;
mod product;
mod reduce;
mod sparse;
mod tape;
