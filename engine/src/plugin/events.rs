//! What a running executable says besides what it prints: one JSON object a line in a file that the request names.

use std::cell::RefCell;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::intern::intern;
use crate::process::Captured;
use crate::step::{FailureCause, NodeError, Outlook, Step};

/// A line.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// How many units there are to do, and what they are.
    Total { units: u64, of: String },
    /// So many more units are done.
    Advance(u64),
    /// Counts and facts of the result, which depend on the action only.
    Facts(Map<String, Value>),
    /// Facts of this execution.
    Execution(Map<String, Value>),
    /// For the user; depends on the action only.
    Warning(String),
    /// Why it fails.
    Error { cause: Cause, message: String, help: Option<String> },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    Failed,
    Parameter,
    Data,
    Device,
    /// The device was lost while it worked.
    Lost,
    /// Memory ran out, of the device or of the machine.
    Memory,
    /// A service that does not answer, a licence that is taken: the same work may succeed in a moment.
    Transient,
}

impl Cause {
    fn error(self, message: String) -> NodeError {
        let cause = match self {
            Self::Failed => FailureCause::Failed,
            Self::Parameter => FailureCause::Parameter,
            Self::Data => FailureCause::Data,
            Self::Device => FailureCause::Device,
            Self::Lost => FailureCause::Lost,
            Self::Memory => FailureCause::Memory,
            Self::Transient => return NodeError::failed(message).outlook(Outlook::Passing),
        };
        NodeError::new(cause, message)
    }
}

/// Reads the file as it grows.
pub(super) struct Events {
    path: PathBuf,
    /// Knows the secrets: what is said here is stored and shown as what is printed is.
    log: Captured,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Bytes that were read.
    offset: u64,
    /// The beginning of a line whose end is not written yet.
    open: Vec<u8>,
    error: Option<NodeError>,
}

impl Events {
    pub(super) fn new(path: &Path, log: &Captured) -> Self {
        Self { path: path.to_owned(), log: log.clone(), seen: RefCell::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the step what was said since the last time.
    pub(super) fn pass_on(&self, step: &Step<'_>) {
        let mut seen = self.seen.borrow_mut();
        let mut new = Vec::new();
        let read = fs_err::File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(seen.offset))?;
            file.read_to_end(&mut new)
        });
        // A file that is not there yet says nothing.
        let Ok(bytes) = read else { return };
        seen.offset += bytes as u64;
        seen.open.append(&mut new);
        let Some(end) = seen.open.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = seen.open.split_off(end + 1);
        let lines = std::mem::replace(&mut seen.open, rest);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Err(unknown) = self.hear(line, step, &mut seen.error) {
                seen.error.get_or_insert(unknown);
            }
        }
    }

    /// The same once more when the program has ended, and its last line, which may have no end. Half a line of a program that
    /// was killed while it wrote says nothing.
    pub(super) fn finish(&self, step: &Step<'_>, ended_well: bool) {
        self.pass_on(step);
        let mut seen = self.seen.borrow_mut();
        let line = std::mem::take(&mut seen.open);
        if line.is_empty() {
            return;
        }
        match self.hear(&line, step, &mut seen.error) {
            Err(unknown) if ended_well => {
                seen.error.get_or_insert(unknown);
            }
            _ => {}
        }
    }

    fn hear(&self, line: &[u8], step: &Step<'_>, error: &mut Option<NodeError>) -> Result<(), NodeError> {
        // Masked after it is taken apart: JSON writes a secret with a quote in it in another way.
        let said = serde_json::from_slice::<Value>(line).map(|said| self.masked(said));
        match said.and_then(serde_json::from_value) {
            Ok(said) => take(said, step, error),
            Err(e) => {
                let line = String::from_utf8_lossy(line);
                return Err(NodeError::failed(self.log.mask(&format!(
                    "the executable said something that celldag does not know: {line} ({e})"
                ))));
            }
        }
        Ok(())
    }

    fn masked(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.log.mask(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.masked(item)).collect(),
            Value::Object(entries) => {
                entries.into_iter().map(|(name, value)| (self.log.mask(&name), self.masked(value))).collect()
            }
            other => other,
        }
    }

    /// Why it failed, if it said so.
    pub(super) fn error(&self) -> Option<NodeError> {
        self.seen.borrow_mut().error.take()
    }
}

fn take(said: Said, step: &Step<'_>, error: &mut Option<NodeError>) {
    match said {
        Said::Total { units, of } => step.progress.total(units, intern(&of)),
        Said::Advance(units) => step.progress.advance(units),
        Said::Facts(facts) => facts.into_iter().for_each(|(name, value)| step.fact(&name, value)),
        Said::Execution(facts) => facts.into_iter().for_each(|(name, value)| step.execution(&name, value)),
        Said::Warning(message) => step.warn(message),
        Said::Error { cause, message, help } => {
            let told = cause.error(message);
            *error = Some(match help {
                Some(help) => told.help(help),
                None => told,
            });
        }
    }
}
