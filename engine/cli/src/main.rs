//! The `celldag` binary: the engine, the node kinds and the report behind one command line.
//!
//! The only code that prints. Results go to stdout, progress and logs to stderr.

mod app;
mod args;
mod command;
mod failure;
mod interrupt;
mod kinds;
mod output;
mod progress;
mod text;

fn main() -> std::process::ExitCode {
    app::main()
}
