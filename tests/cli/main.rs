//! The command line as users meet it: help, messages, exit codes.

#![expect(clippy::print_stdout, reason = "tests say what they skip and what they measured")]

#[path = "../scenario/sandbox.rs"]
#[expect(dead_code, reason = "shared with the scenario tests, which use all of it")]
mod sandbox;

mod commands;
mod drugs;
mod generated;
mod mistakes;
mod options;
mod provenance;
mod serve;
mod store;
