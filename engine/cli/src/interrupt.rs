//! Ctrl-C: the first asks running nodes to stop, the second stops the program.

use std::path::PathBuf;

use celldag_engine::{Cancel, ExitClass};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::output::Output;

/// A flag that is raised when the user, a scheduler or a closed terminal asks the program to end.
pub(crate) fn cancel_on_signals(output: Output) -> std::io::Result<Cancel> {
    cancel_and_remove(output, None)
}

/// The same for a command with a folder of its own, which goes even when the program has to stop at once.
pub(crate) fn cancel_and_remove(output: Output, folder: Option<PathBuf>) -> std::io::Result<Cancel> {
    let cancel = Cancel::new();
    // A limit on file sizes should be an error of the write, with a message, and not the end of the process.
    signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default())?;
    let flag = cancel.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                // Whatever is half done lies in a sandbox, which the next run sweeps. In a folder that goes, a worker may
                // just be writing: twice finds what it wrote meanwhile.
                if let Some(folder) = &folder {
                    let _ = fs_err::remove_dir_all(folder).or_else(|_| fs_err::remove_dir_all(folder));
                }
                #[expect(clippy::exit, reason = "the user asked twice")]
                std::process::exit(ExitClass::Interrupted.code().into());
            }
            flag.cancel();
            output.say("stopping (again to stop at once)");
        }
    })?;
    Ok(cancel)
}
