//! The `celldag` binary: the engine, the node kinds and the report behind one command line.
//!
//! The only code that prints. Results go to stdout, progress and logs to stderr.

mod app;
mod args;
mod command;
mod failure;
mod interrupt;
mod kinds;
mod machine;
mod output;
mod progress;
mod text;

fn main() -> std::process::ExitCode {
    // Every external program of a node has this program once more as its parent.
    if let Some(ended) = celldag_engine::process::supervise_if_asked() {
        return ended;
    }
    set_up_libraries();
    app::main()
}

/// Settings of libraries that can only be given through the environment; what the user has set stays.
///
/// Mesa's device-select layer prints about a missing desktop session when adapters are listed on a server; it only decides
/// which adapter comes first, and adapters are chosen here by their own properties. HDF5's advisory locks fail on many network
/// file systems and on files that another program has open; nothing here needs them, because outputs are written in private
/// folders and renamed.
fn set_up_libraries() {
    let server = std::env::var_os("XDG_RUNTIME_DIR").is_none();
    let settings = [("NODEVICE_SELECT", "1", server), ("HDF5_USE_FILE_LOCKING", "FALSE", true)];
    for (name, value, wanted) in settings {
        if wanted && std::env::var_os(name).is_none() {
            #[expect(unsafe_code, reason = "the environment can only be changed before threads start")]
            // SAFETY: this is the first thing that the program does; no other thread exists.
            unsafe {
                std::env::set_var(name, value);
            }
        }
    }
}
