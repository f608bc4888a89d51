//! From the command line to an exit code: parse, set up logs, dispatch, report the failure.

use std::process::ExitCode;

use clap::Parser as _;
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::{Cli, Command, Global, ModelsCommand};
use crate::command;
use crate::failure::Failure;
use crate::output::Output;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // Wrong arguments end here: clap prints the message and exits with 2, as the contract says.
    let cli = Cli::parse();
    let output = Output::new(&cli.global);
    set_up_logs(&cli.global, &output);
    set_up_panics();
    match dispatch(cli.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show(&output);
            ExitCode::from(failure.exit_class().code())
        }
    }
}

fn dispatch(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Run(args) => command::run::run(&args, output),
        Command::Plan(args) => command::plan::run(&args, output),
        Command::Check(args) => command::check::run(&args, output),
        Command::Graph(args) => command::graph::run(&args, output),
        Command::Step(args) => command::step::run(&args, output),
        Command::Export(command) => command::export::run(&command, output),
        Command::Why(args) => command::why::run(&args, output),
        Command::Provenance(args) => command::provenance::run(&args, output),
        Command::Embed(args) => command::embed::run(&args, output),
        Command::EmbedDrug(args) => command::embed_drug::run(&args, output),
        Command::Predict(args) => command::predict::run(&args, output),
        Command::Nodes { kind } => command::nodes::run(kind.as_deref(), output),
        Command::Schema => command::schema::run(output),
        Command::Models { command } => match command {
            None => command::models::list(output),
            Some(ModelsCommand::Inspect { checkpoint }) => command::models::look(&checkpoint, output),
        },
        Command::Devices { bench } => command::devices::run(bench, output),
        Command::Cache { command, store } => command::cache::run(&command, &store, output),
        Command::Runs { command, store } => command::runs::run(command.as_ref(), &store, output),
        Command::Serve(args) => command::serve::run(&args, output),
        Command::Report { run, output: file, store } => command::report::run(&run, &file, &store, output),
    }
}

fn set_up_logs(global: &Global, output: &Output) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    // Drivers and the GPU library talk a lot; their notes matter to those who ask for everything. What the check of a
    // certificate calls an error is told as one warning by the shared store.
    let calm = if global.verbose >= 2 {
        ""
    } else {
        ",wgpu_core=error,wgpu_hal=error,naga=error,rustls_platform_verifier=off"
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("{level}{calm}")));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(output.colour_on_stderr())
        .without_time()
        .with_target(global.verbose >= 2);
    let discreet = filter_fn(|note| is_discreet(note.target(), *note.level()));
    let subscriber = tracing_subscriber::registry().with(filter).with(discreet).with(lines);
    // Fails only when a subscriber is installed already, which happens in no program that starts here.
    let _ = subscriber.try_init();
}

/// Whether a note may be shown, whatever `RUST_LOG` asks for. The HTTP library writes whole requests into its finest notes:
/// signed addresses and tokens.
fn is_discreet(target: &str, level: Level) -> bool {
    match target.split("::").next() {
        Some("ureq") => level <= Level::DEBUG,
        Some("ureq_proto") => level <= Level::INFO,
        _ => true,
    }
}

/// A panic in a node becomes a failure of that node with its message; here it is one line, without Rust's advice.
fn set_up_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("no message");
        tracing::error!("internal error{place}: {message}; please report this");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_requests_are_never_shown() {
        assert!(!is_discreet("ureq::run", Level::TRACE) && !is_discreet("ureq", Level::TRACE));
        assert!(!is_discreet("ureq_proto::util", Level::TRACE) && !is_discreet("ureq_proto", Level::DEBUG));
        assert!(is_discreet("ureq::run", Level::DEBUG) && is_discreet("ureq_proto::client", Level::WARN));
        assert!(is_discreet("celldag_cache::remote", Level::TRACE));
    }
}
