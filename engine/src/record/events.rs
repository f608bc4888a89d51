//! `events.jsonl`: every event of a run in the order in which it was told, readable while the run goes on.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// Appends each event to the file and hands it to the observer, in one order for both. An observer that is slow (a terminal that
/// nobody reads from) holds up the thread that tells it, and no other: these leave their events to that thread.
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
    /// Events that the observer has not been told.
    untold: VecDeque<RunEvent>,
    /// A thread tells them at this moment.
    telling: bool,
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
            untold: VecDeque::new(),
            telling: false,
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

    /// Tells an event. It is in the file on return; the observer has been told, or another thread is about to tell it. If the
    /// observer panics, this does too, once the events that others have left are told.
    pub(crate) fn tell(&self, event: RunEvent) {
        let mut state = self.lock();
        let event = state.log(event);
        state.leave(event);
        if state.telling {
            return;
        }
        state.telling = true;
        let mut panic = None;
        while let Some(event) = state.untold.pop_front() {
            drop(state);
            let told = catch_unwind(AssertUnwindSafe(|| self.observer.event(&event)));
            state = self.lock();
            panic = panic.or(told.err());
        }
        state.telling = false;
        drop(state);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&self) {
        let mut state = self.lock();
        if let Some(Err(e)) = state.file.as_mut().map(Write::flush) {
            tracing::warn!("the event log of the run cannot be written: {e}");
        }
    }
}

impl State {
    /// Leaves an event to be told. Only the last progress of a job is: while nobody reads from the terminal it would pile up.
    fn leave(&mut self, event: RunEvent) {
        if let RunEvent::Progress { job, .. } = &event {
            let older = |other: &RunEvent| matches!(other, RunEvent::Progress { job: of, .. } if of == job);
            if let Some(place) = self.untold.iter().rposition(older) {
                self.untold.remove(place);
            }
        }
        self.untold.push_back(event);
    }

    /// Appends the event to the file, unless it is progress that comes too soon, and gives it back.
    fn log(&mut self, event: RunEvent) -> RunEvent {
        if let RunEvent::Progress { job, .. } = &event {
            let last = self.progress.get(job);
            if last.is_some_and(|last| last.elapsed() < PROGRESS_EVERY) {
                return event;
            }
            self.progress.insert(job.clone(), Instant::now());
        }
        if self.broken.is_some() {
            return event;
        }
        let line = LoggedEvent { v: EVENT_VERSION, time: now(), event };
        if let Err(e) = self.append(&line) {
            tracing::warn!("the event log of the run cannot be written: {e}");
            self.broken = Some(e);
        }
        line.event
    }

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
    use std::sync::mpsc;

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

    /// Holds the first event until it is let go, and remembers the order.
    struct Slow {
        seen: Mutex<Vec<RunEvent>>,
        arrived: mpsc::SyncSender<()>,
        go_on: Mutex<mpsc::Receiver<()>>,
    }

    impl Observer for Slow {
        fn event(&self, event: &RunEvent) {
            let mut seen = self.seen.lock().unwrap();
            seen.push(event.clone());
            if seen.len() == 1 {
                drop(seen);
                self.arrived.send(()).unwrap();
                self.go_on.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
            }
        }
    }

    #[test]
    fn a_slow_observer_holds_up_one_thread_and_hears_everything_in_the_order_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let ((arrived, arrives), (go, go_on)) = (mpsc::sync_channel(1), mpsc::channel());
        let slow = Slow { seen: Mutex::default(), arrived, go_on: Mutex::new(go_on) };
        let log = EventLog::create(Some(folder.path()), &slow).unwrap();
        let tell = |job: String| log.tell(RunEvent::Waiting { job });
        std::thread::scope(|scope| {
            let held = scope.spawn(|| tell("first".to_owned()));
            arrives.recv_timeout(Duration::from_secs(20)).unwrap();
            let others: Vec<_> = (0..3)
                .map(|thread| scope.spawn(move || (0..50).for_each(|i| tell(format!("{thread}-{i}")))))
                .collect();
            // With the observer called under the lock, none of them would get here.
            others.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(slow.seen.lock().unwrap().len(), 1);
            assert_eq!(read_events(folder.path()).unwrap().len(), 151, "the file does not wait");
            go.send(()).unwrap();
            held.join().unwrap();
        });
        let logged = read_events(folder.path()).unwrap().into_iter().map(|line| line.event);
        assert_eq!(*slow.seen.lock().unwrap(), logged.collect::<Vec<_>>());
    }

    #[test]
    fn of_the_progress_that_waits_for_a_slow_observer_only_the_last_is_told() {
        let ((arrived, arrives), (go, go_on)) = (mpsc::sync_channel(1), mpsc::channel());
        let slow = Slow { seen: Mutex::default(), arrived, go_on: Mutex::new(go_on) };
        let log = EventLog::create(None, &slow).unwrap();
        let waiting = |job: &str| RunEvent::Waiting { job: job.to_owned() };
        let at = |job: &str, done| {
            let (job, node, unit) = (job.to_owned(), "node".to_owned(), "cells".to_owned());
            RunEvent::Progress { job, node, done, total: None, unit }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| log.tell(waiting("first")));
            arrives.recv_timeout(Duration::from_secs(20)).unwrap();
            (0..1000).for_each(|done| ["a", "b"].iter().for_each(|job| log.tell(at(job, done))));
            log.tell(waiting("a"));
            log.tell(at("a", 1000));
            go.send(()).unwrap();
        });
        let told = [waiting("first"), at("b", 999), waiting("a"), at("a", 1000)];
        assert_eq!(*slow.seen.lock().unwrap(), told);
    }

    #[test]
    fn what_others_leave_to_an_observer_that_panics_is_told() {
        struct Panics(Slow);
        impl Observer for Panics {
            fn event(&self, event: &RunEvent) {
                self.0.event(event);
                assert_ne!(*event, RunEvent::Waiting { job: "first".to_owned() });
            }
        }
        let ((arrived, arrives), (go, go_on)) = (mpsc::sync_channel(1), mpsc::channel());
        let observer = Panics(Slow { seen: Mutex::default(), arrived, go_on: Mutex::new(go_on) });
        let log = EventLog::create(None, &observer).unwrap();
        let tell = |job: &str| log.tell(RunEvent::Waiting { job: job.to_owned() });
        std::thread::scope(|scope| {
            let first = scope.spawn(|| tell("first"));
            arrives.recv_timeout(Duration::from_secs(20)).unwrap();
            tell("last");
            go.send(()).unwrap();
            assert!(first.join().is_err(), "the panic is not lost");
        });
        assert_eq!(observer.0.seen.lock().unwrap().len(), 2);
    }

    #[test]
    fn an_observer_that_panics_hears_what_comes_after() {
        struct Panics(Mutex<usize>);
        impl Observer for Panics {
            fn event(&self, _event: &RunEvent) {
                let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                *told += 1;
                assert!(*told != 1, "the first is too much");
            }
        }
        let observer = Panics(Mutex::default());
        let log = EventLog::create(None, &observer).unwrap();
        let tell = || log.tell(RunEvent::Waiting { job: "x".to_owned() });
        assert!(catch_unwind(AssertUnwindSafe(tell)).is_err());
        tell();
        assert_eq!(*observer.0.lock().unwrap_or_else(PoisonError::into_inner), 2);
    }
}
