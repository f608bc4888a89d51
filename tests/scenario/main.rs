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
#[path = "../support/http_store.rs"]
mod http_store;
mod kills;
#[cfg(unix)]
mod nextflow;
mod plugins;
mod predict;
mod pretrain;
mod programs;
mod prompt;
mod protocols;
mod quickstart;
#[cfg(unix)]
mod remote;
#[cfg(unix)]
mod remote_tls;
mod sandbox;
#[expect(dead_code, reason = "its own tests use all of it")]
#[path = "../../nodes/tests/suite/prompt/server.rs"]
mod server;
mod shards;
#[cfg(unix)]
mod snakemake;
mod soak;
mod steps;
mod steps_at_once;
mod studies;
