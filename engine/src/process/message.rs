//! What the supervisor tells: one JSON object a line.

use serde::{Deserialize, Serialize};

/// Asks the program to end.
pub(super) const ASK: u8 = b't';
/// Kills it.
pub(super) const KILL: u8 = b'k';

/// A message of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// The program runs, in a group of the same number.
    Started {
        /// Its process.
        pid: i32,
    },
    /// It does not run.
    Unstartable {
        /// What kind of trouble.
        trouble: Trouble,
        /// The system's words.
        message: String,
    },
    /// It ended, and everything that it started is gone.
    Ended {
        /// Exit code.
        code: Option<i32>,
        /// Signal.
        signal: Option<i32>,
        /// What had to be killed.
        left: Vec<Left>,
    },
}

/// Why a program cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trouble {
    /// There is no such program.
    Missing,
    /// It is not allowed to be run.
    NotAllowed,
    /// Anything else.
    Other,
}

impl From<&std::io::Error> for Trouble {
    fn from(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::NotAllowed,
            _ => Self::Other,
        }
    }
}

/// A process that was still there when the program had ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    /// Its name.
    pub(crate) name: String,
    /// Outputs that it held open; `None` when that cannot be told, which is not the same as none.
    pub(crate) open: Option<Vec<String>>,
}
