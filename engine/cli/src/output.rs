//! Where text goes: results to stdout, everything else to stderr; colour and JSON as asked.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::args::{Global, When};
use crate::failure::Failure;

/// How to talk to the user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Machine-readable results.
    pub(crate) json: bool,
    /// Errors and results only.
    pub(crate) quiet: bool,
    colour: When,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self { json: global.json, quiet: global.quiet, colour: global.color }
    }

    /// Whether progress and messages may be coloured.
    pub(crate) fn colour_on_stderr(&self) -> bool {
        self.colour_on(io::stderr().is_terminal())
    }

    fn colour_on(&self, terminal: bool) -> bool {
        match self.colour {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }

    /// Writes a result to stdout, with a line end.
    pub(crate) fn result(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        match write!(out, "{text}{end}").and_then(|()| out.flush()) {
            // The reader (`head`, a closed pager) has seen enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Failure::from),
        }
    }

    /// Writes a result as JSON to stdout.
    pub(crate) fn json_result(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Other(e.to_string()))?;
        self.result(&text)
    }

    /// Says something on stderr, unless the user wants quiet.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// Says something on stderr in any case.
    pub(crate) fn complain(&self, text: &str) {
        // Nothing sensible can be done when stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
