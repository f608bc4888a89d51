//! The store, alone and shared: one program, so that it is linked once.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test says what it skips and stops at what fails"
)]

mod beside;
mod common;
mod crash;
mod damage;
mod flight;
mod gc;
mod inline;
mod limits;
mod materialize;
mod partial;
mod publish;
mod remote;
mod results;
mod stop;
mod temporary;
