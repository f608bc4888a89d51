//! What the user sees of a run: a live tree on a terminal, plain lines elsewhere, JSON lines for machines.

mod lines;
mod tree;

use std::io::{IsTerminal as _, Write};

use celldag_engine::events::{Observer, RunEvent};

use crate::args::ProgressArg;
use crate::output::Output;
use lines::{Lines, line};
use tree::Tree;

/// The observer that was asked for. Events go to stdout under `--json`; all else goes to stderr.
pub(crate) fn observer(output: &Output, wanted: ProgressArg) -> Box<dyn Observer> {
    if output.json {
        return Box::new(JsonLines { to: std::io::stdout });
    }
    match wanted {
        ProgressArg::None => Box::new(ErrorsOnly { output: *output }),
        ProgressArg::Json => Box::new(JsonLines { to: std::io::stderr }),
        ProgressArg::Lines => Box::new(Lines { output: *output }),
        ProgressArg::Tree => Box::new(Tree::new(*output)),
        ProgressArg::Auto if output.quiet => Box::new(ErrorsOnly { output: *output }),
        ProgressArg::Auto if std::io::stderr().is_terminal() => Box::new(Tree::new(*output)),
        ProgressArg::Auto => Box::new(Lines { output: *output }),
    }
}

/// One JSON object a line.
struct JsonLines<W> {
    to: fn() -> W,
}

impl<W: Write> Observer for JsonLines<W> {
    fn event(&self, event: &RunEvent) {
        if let Ok(line) = serde_json::to_string(event) {
            // One write for one line; a reader that went away must not stop the run.
            let _ = (self.to)().write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// Failures only.
struct ErrorsOnly {
    output: Output,
}

impl Observer for ErrorsOnly {
    fn event(&self, event: &RunEvent) {
        if let RunEvent::Failed { .. } = event
            && let Some(line) = line(event)
        {
            self.output.complain(&line);
        }
    }
}
