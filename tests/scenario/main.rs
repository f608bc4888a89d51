//! Whole pipelines through the real binary: numbers, reruns, crashes, bad input.

mod bad_input;
mod crash;
mod drug_response;
mod golden;
mod quickstart;
mod sandbox;
