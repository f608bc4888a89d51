//! Running external programs so that nothing of them outlives its node.
//!
//! ```text
//! celldag ──socket──▶ supervisor (celldag again) ──▶ program, in a process group of its own ──▶ its children
//! ```
//!
//! The supervisor holds one end of a socket. When celldag dies, whatever kills it, the kernel closes the other end, and the
//! supervisor kills the group. On Linux it also adopts processes whose parents are gone, so that a child that left the group
//! is found too. A program that uses this crate and does not call [`supervise_if_asked`] first runs programs without a
//! supervisor: a cancel and a timeout still kill the group, a `kill -9` of the program itself does not. A child that left the
//! group is not ended then, but seen as long as it writes to an output.

mod leash;
mod log;
mod message;
mod supervisor;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use leash::Leash;
pub(crate) use log::{Captured, Log};
use message::Told;
pub(crate) use message::{Left, Trouble};
pub use supervisor::supervise_if_asked;

/// How often a waiting node looks whether it should stop.
const TICK: Duration = Duration::from_millis(50);
/// Time to end by itself after the polite signal.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// Time for the last lines of output to arrive after the last process is gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What to run, and where.
#[derive(Debug)]
pub(crate) struct Program {
    /// Program and arguments.
    pub(crate) argv: Vec<OsString>,
    /// All variables that it sees.
    pub(crate) env: BTreeMap<String, OsString>,
    /// Its working folder.
    pub(crate) folder: PathBuf,
    /// Where its outputs lie: a process that is left over and holds a file open here has not finished its work.
    pub(crate) outputs: PathBuf,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code, unless a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// Processes that it left behind. They are gone now, but for those that left the group when there is no supervisor.
    pub(crate) left: Vec<Left>,
}

/// Why a program did not end by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// It could not be started.
    #[error("{message}")]
    Unstartable {
        /// What kind of trouble.
        trouble: Trouble,
        /// The system's words.
        message: String,
    },
    /// It was asked to stop, and did.
    #[error("stopped")]
    Cancelled,
    /// Something that is nobody's fault: no more processes, no more pipes.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Runs a program to its end. What it prints goes to `stdout` and `stderr`, which may be the same log. Returns when the
/// program and everything that it started are gone.
///
/// # Errors
/// When it cannot be started, or `cancel` said to stop it.
pub(crate) fn run(
    program: &Program,
    (stdout, stderr): (&Captured, Option<&Captured>),
    cancel: &dyn Fn() -> bool,
) -> Result<Ended, Stopped> {
    let (mut leash, told, readers) = Leash::start(program, stdout, stderr)?;
    let mut asked: Option<Instant> = None;
    let mut forced = false;
    let ended = loop {
        match told.recv_timeout(TICK) {
            Ok(Told::Started { pid }) => leash.holds(pid),
            Ok(Told::Unstartable { trouble, message }) => {
                return Err(Stopped::Unstartable { trouble, message });
            }
            Ok(Told::Ended { code, signal, left }) => break Ended { code, signal, left },
            Err(RecvTimeoutError::Disconnected) => {
                leash.kill_group();
                let message = "the supervisor of the program ended before the program did";
                return Err(std::io::Error::other(message).into());
            }
            Err(RecvTimeoutError::Timeout) => match asked {
                None if cancel() => {
                    leash.ask();
                    asked = Some(Instant::now());
                }
                Some(since) if !forced && since.elapsed() >= GRACE => {
                    leash.kill();
                    forced = true;
                }
                _ => {}
            },
        }
    };
    leash.finish();
    readers.wait(LAST_WORDS);
    if asked.is_some() { Err(Stopped::Cancelled) } else { Ok(ended) }
}
