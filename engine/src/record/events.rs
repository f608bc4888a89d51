//! `events.jsonl`: every event of a run in the order in which it was told, readable while the run goes on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::folder::now;
use crate::error::EngineError;
use crate::events::{EVENT_VERSION, Observer, RunEvent};
use crate::pipeline::Job;

/// While jobs are being decided, a reader of a live run is at most this far behind.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Progress of one job is logged at most this often; the observer sees all of it.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// A line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// Version of the line.
    pub v: u32,
    /// UTC, RFC 3339.
    pub time: String,
    /// The event.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// Hands each event to the observer and appends it to the file, in one order for both.
pub(crate) struct EventLog<'a> {
    observer: &'a dyn Observer,
    /// Without one, events only reach the observer.
    folder: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    file: Option<BufWriter<fs_err::File>>,
    flushed: Instant,
    progress: BTreeMap<String, Instant>,
    /// The first failure to write; the run goes on without a log and reports it at the end.
    broken: Option<std::io::Error>,
}

impl<'a> EventLog<'a> {
    /// Starts the log of a run.
    pub(crate) fn create(folder: Option<&Path>, observer: &'a dyn Observer) -> Result<Self, EngineError> {
        let open = |folder: &Path| {
            fs_err::OpenOptions::new().create(true).append(true).open(folder.join("events.jsonl"))
        };
        let state = State {
            file: folder.map(open).transpose()?.map(BufWriter::new),
            flushed: Instant::now(),
            progress: BTreeMap::new(),
            broken: None,
        };
        Ok(Self { observer, folder: folder.map(Path::to_owned), state: Mutex::new(state) })
    }

    /// Keeps what the program of a job printed, if it printed anything; says where. Without a folder, the observer is told.
    pub(crate) fn keep_output(&self, job: &Job, key: &str, from: &Path) -> Option<PathBuf> {
        fs_err::metadata(from).ok().filter(|meta| meta.len() > 0)?;
        let Some(folder) = &self.folder else {
            let text = fs_err::read(from).ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            self.tell(RunEvent::Printed { job: job.id.clone(), text });
            return None;
        };
        let (folder, node) = (folder.join("logs"), &job.node);
        // Nodes have one job for each combination of their axes; the key tells these apart.
        let to = folder.join(format!("{node}-{}.txt", crate::short(key)));
        let kept = fs_err::create_dir_all(&folder).and_then(|()| fs_err::copy(from, &to));
        match kept {
            Ok(_) => Some(to),
            Err(e) => {
                tracing::warn!("what a program printed is not kept: {e}");
                None
            }
        }
    }

    /// Tells an event.
    pub(crate) fn tell(&self, event: RunEvent) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.observer.event(&event);
        if let RunEvent::Progress { job, .. } = &event {
            let last = state.progress.get(job);
            if last.is_some_and(|last| last.elapsed() < PROGRESS_EVERY) {
                return;
            }
            state.progress.insert(job.clone(), Instant::now());
        }
        if state.broken.is_none() {
            let line = LoggedEvent { v: EVENT_VERSION, time: now(), event };
            if let Err(e) = state.append(&line) {
                tracing::warn!("the event log of the run cannot be written: {e}");
                state.broken = Some(e);
            }
        }
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&self) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(Err(e)) = state.file.as_mut().map(Write::flush) {
            tracing::warn!("the event log of the run cannot be written: {e}");
        }
    }
}

impl State {
    fn append(&mut self, line: &LoggedEvent) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        serde_json::to_writer(&mut *file, line)?;
        file.write_all(b"\n")?;
        if at_once(&line.event) || self.flushed.elapsed() >= FLUSH_EVERY {
            file.flush()?;
            self.flushed = Instant::now();
        }
        Ok(())
    }
}

/// Whether a reader learns of it at once: nothing more may be told for hours, or ever. What comes for each job of a run that
/// finds everything in the store waits for more: a write each would make thousands of them slow.
fn at_once(event: &RunEvent) -> bool {
    match event {
        RunEvent::RunStarted { .. }
        | RunEvent::Started { .. }
        | RunEvent::Waiting { .. }
        | RunEvent::Retrying { .. }
        | RunEvent::Finished { .. }
        | RunEvent::Failed { .. }
        | RunEvent::RunFinished { .. } => true,
        RunEvent::Decided { .. }
        | RunEvent::Progress { .. }
        | RunEvent::Warning { .. }
        | RunEvent::Printed { .. }
        | RunEvent::Skipped { .. }
        | RunEvent::OutputWritten { .. } => false,
    }
}

/// The events of a run folder. A last line that is not whole yet is left out; lines of a newer version are too.
///
/// # Errors
/// When the file cannot be read.
pub fn read_events(folder: &Path) -> Result<Vec<LoggedEvent>, EngineError> {
    let file = BufReader::new(fs_err::File::open(folder.join("events.jsonl"))?);
    let mut events = Vec::new();
    // Bytes, not text: a kill may have cut the last line within a letter.
    for line in file.split(b'\n') {
        events.extend(event(&line?));
    }
    Ok(events)
}

/// Tells the events of a run folder from a place in their file on, in bytes; returns the place to go on from. A last line
/// that is not whole yet is left for the next time. Without a file there are none: a kill may come before it.
///
/// # Errors
/// When the file cannot be read.
pub fn follow_events(
    folder: &Path,
    from: u64,
    tell: &mut dyn FnMut(&LoggedEvent),
) -> Result<u64, EngineError> {
    let mut file = match fs_err::File::open(folder.join("events.jsonl")) {
        Ok(file) => BufReader::new(file),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(from),
        Err(e) => return Err(e.into()),
    };
    file.seek(SeekFrom::Start(from))?;
    let (mut place, mut line) = (from, Vec::new());
    loop {
        line.clear();
        file.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(place);
        }
        place += line.len() as u64;
        if let Some(event) = event(&line) {
            tell(&event);
        }
    }
}

/// The event of a line; `None` for one that was cut off and for a newer version.
fn event(line: &[u8]) -> Option<LoggedEvent> {
    serde_json::from_slice::<LoggedEvent>(line).ok().filter(|event| event.v == EVENT_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Quiet;

    #[test]
    fn what_a_run_begins_and_ends_is_readable_at_once_and_what_it_finds_is_not_written_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let seen = || {
            let mut seen = 0;
            follow_events(folder.path(), 0, &mut |_| seen += 1).unwrap();
            seen
        };
        assert_eq!(seen(), 0, "no file yet");
        let log = EventLog::create(Some(folder.path()), &Quiet).unwrap();
        let tell = |event: serde_json::Value| {
            log.tell(serde_json::from_value(event).unwrap());
            // No time passes for the log, however slow the machine is.
            log.state.lock().unwrap().flushed = Instant::now() + Duration::from_secs(3600);
            seen()
        };
        let cached = serde_json::json!({ "state": "cached", "age": 1.0, "saved_seconds": 2.0 });
        let decided = serde_json::json!({ "event": "decided", "job": "qc", "node": "qc", "state": cached });
        let run = serde_json::json!({ "event": "run_started", "run": "r", "pipeline": "p", "nodes": [], "device": "cpu" });
        assert_eq!(tell(run), 1);
        assert_eq!((tell(decided.clone()), tell(decided)), (1, 1));
        let started = serde_json::json!({ "event": "started", "job": "head", "node": "head", "kind": "k" });
        assert_eq!(tell(started), 4, "with all before it");
        let finished = serde_json::json!({ "event": "finished", "job": "head", "node": "head", "seconds": 1.0, "facts": {} });
        assert_eq!(tell(finished), 5);
    }
}
