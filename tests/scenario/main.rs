//! Whole pipelines through the real binary: numbers, reruns, crashes, bad input.

#![expect(clippy::print_stdout, reason = "tests say what they skip and what they measured")]

mod bad_input;
mod crash;
mod drug_response;
mod golden;
mod quickstart;
mod sandbox;
mod steps;
