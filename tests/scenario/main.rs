//! Whole pipelines through the real binary: numbers, reruns, crashes, bad input.

#![expect(clippy::print_stdout, reason = "tests say what they skip and what they measured")]

mod bad_input;
// Stands a folder of links in for downloads.
#[cfg(unix)]
mod compare_models;
mod crash;
mod drug_response;
mod epochs;
mod golden;
mod kills;
mod plugins;
mod predict;
mod pretrain;
mod prompt;
mod protocols;
mod quickstart;
mod sandbox;
#[path = "../../nodes/tests/prompt/server.rs"]
mod server;
mod soak;
mod steps;
mod studies;
