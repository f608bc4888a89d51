//! `prompt-classify` against a real HTTP server: good answers, bad ones, and everything that can go wrong on the way.

mod answers;
mod limits;
mod parser;
mod refusals;
mod server;
mod study;
