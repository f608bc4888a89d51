//! `events.jsonl`: every event of a run in the order in which it was told, readable while the run goes on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::folder::now;
use crate::error::EngineError;
use crate::events::{EVENT_VERSION, Observer, RunEvent};
use crate::pipeline::Job;

/// A reader of a live run is at most this far behind.
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
        let to = folder.join(format!("{node}-{}.txt", key.get(..12).unwrap_or(key)));
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
        if self.flushed.elapsed() >= FLUSH_EVERY {
            file.flush()?;
            self.flushed = Instant::now();
        }
        Ok(())
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
        match serde_json::from_slice::<LoggedEvent>(&line?) {
            Ok(event) if event.v == EVENT_VERSION => events.push(event),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(events)
}
