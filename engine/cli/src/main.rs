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
    quiet_drivers();
    app::main()
}

/// Keeps Mesa's device-select layer from printing about a missing desktop session when adapters are listed on a server.
/// It only decides which adapter comes first, and adapters are chosen here by their own properties.
fn quiet_drivers() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        #[expect(unsafe_code, reason = "the environment can only be changed before threads start")]
        // SAFETY: this is the first thing that the program does; no other thread exists.
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        }
    }
}
