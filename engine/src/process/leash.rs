//! The hold that celldag has on a running program: through a supervisor, or on its process group.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::log::Captured;
use super::message::{ASK, KILL, Left, Told, Trouble};
use super::supervisor::{PAUSE, TRAILING, WORD, program, sockets};
use super::{Program, Stopped, table};

/// A running program.
pub(super) struct Leash {
    /// The supervisor, and the socket to it.
    supervised: Option<(Child, UnixStream)>,
    /// The program's process group, once it is known.
    group: Option<Pid>,
}

/// Threads that read what the program prints.
pub(super) struct Readers {
    ended: Receiver<()>,
    running: usize,
}

impl Readers {
    /// Waits until everything was read. Not for ever: a process that fled may hold a pipe open.
    pub(super) fn wait(self, limit: Duration) {
        let begin = Instant::now();
        for _ in 0..self.running {
            if self.ended.recv_timeout(limit.saturating_sub(begin.elapsed())).is_err() {
                tracing::debug!("somebody still holds the output of an ended program");
                return;
            }
        }
    }
}

impl Leash {
    /// Starts a program.
    pub(super) fn start(
        what: &Program,
        stdout: &Captured,
        stderr: Option<&Captured>,
    ) -> Result<(Self, Receiver<Told>, Readers), Stopped> {
        let (ended, done) = channel();
        let mut readers = Readers { ended: done, running: 0 };
        let mut pipe = |log: &Captured| -> std::io::Result<PipeWriter> {
            let (read, write) = std::io::pipe()?;
            spawn_reader(read, log.clone(), ended.clone())?;
            readers.running += 1;
            Ok(write)
        };
        let out = pipe(stdout)?;
        let err = match stderr {
            Some(log) => pipe(log)?,
            // One pipe for both keeps their lines in order.
            None => out.try_clone()?,
        };
        let (tell, told) = channel();
        let leash = match program() {
            Some(supervisor) => {
                let (ours, theirs) = sockets()?;
                let mut command = Command::new(supervisor);
                command.arg0("celldag").arg(WORD).arg(&what.outputs).args(&what.argv);
                command.stdin(theirs);
                let child = spawn(command, what, (out, err))?;
                let listening = ours.try_clone()?;
                let leash = Self { supervised: Some((child, ours)), group: None };
                thread(move || pass_on(listening, &tell))?;
                leash
            }
            None => {
                let Some((name, arguments)) = what.argv.split_first() else {
                    return Err(std::io::Error::other("no program is named").into());
                };
                let mut command = Command::new(name);
                command.args(arguments).stdin(Stdio::null());
                let child = spawn(command, what, (out, err)).map_err(|e| Stopped::Unstartable {
                    trouble: Trouble::from(&e),
                    message: e.to_string(),
                })?;
                let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                let outputs = what.outputs.clone();
                thread(move || wait_alone(child, group, &outputs, &tell))?;
                Self { supervised: None, group }
            }
        };
        Ok((leash, told, readers))
    }

    /// The supervisor said which group it is.
    pub(super) fn holds(&mut self, group: i32) {
        self.group = Pid::from_raw(group);
    }

    /// Asks the program to end.
    pub(super) fn ask(&mut self) {
        self.send(ASK, Signal::TERM);
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        self.send(KILL, Signal::KILL);
    }

    fn send(&mut self, word: u8, signal: Signal) {
        match (&mut self.supervised, self.group) {
            (Some((_, socket)), _) => {
                let _ = socket.write_all(&[word]);
            }
            (None, Some(group)) => {
                let _ = kill_process_group(group, signal);
            }
            (None, None) => {}
        }
    }

    /// Ends what the supervisor can end no more.
    pub(super) fn kill_group(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.finish();
    }

    /// Takes leave of the supervisor.
    pub(super) fn finish(&mut self) {
        if let Some((mut child, socket)) = self.supervised.take() {
            // Not only dropped: the thread that listens has another handle of it.
            let _ = socket.shutdown(Shutdown::Both);
            let _ = child.wait();
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // On every way out: the supervisor ends what is left when its socket closes.
        self.finish();
    }
}

fn spawn(
    mut command: Command,
    what: &Program,
    (out, err): (PipeWriter, PipeWriter),
) -> std::io::Result<Child> {
    command.env_clear().envs(&what.env).current_dir(&what.folder).process_group(0);
    command.stdout(out).stderr(err).spawn()
}

fn thread(work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("program".to_owned()).spawn(work).map(|_| ())
}

fn spawn_reader(read: PipeReader, log: Captured, ended: Sender<()>) -> std::io::Result<()> {
    thread(move || {
        log.read(read);
        let _ = ended.send(());
    })
}

/// Messages of the supervisor, until it ends.
fn pass_on(socket: UnixStream, tell: &Sender<Told>) {
    for line in BufReader::new(socket).lines() {
        let Ok(line) = line else { return };
        match serde_json::from_str(&line) {
            Ok(told) => {
                if tell.send(told).is_err() {
                    return;
                }
            }
            Err(e) => tracing::debug!("the supervisor said something unknown: {e}"),
        }
    }
}

/// What a supervisor does, as far as a thread can: waits, and ends the group. What left the group it cannot end; it tells that
/// it still writes.
fn wait_alone(mut child: Child, group: Option<Pid>, outputs: &Path, tell: &Sender<Told>) {
    use std::os::unix::process::ExitStatusExt as _;
    let status = child.wait().ok();
    let begin = Instant::now();
    let (group_left, elsewhere) = loop {
        let left = group.map(table::within).unwrap_or_default();
        let elsewhere = if left.is_empty() { table::writers(outputs) } else { Vec::new() };
        if (left.is_empty() && elsewhere.is_empty()) || begin.elapsed() >= TRAILING {
            break (left, elsewhere);
        }
        std::thread::sleep(PAUSE);
    };
    let mut left: Vec<Left> = group_left
        .iter()
        .map(|entry| Left { name: entry.name.clone(), open: table::open_files(entry.pid, outputs) })
        .collect();
    if let Some(group) = group
        && (!left.is_empty() || !table::shows_processes())
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
    left.extend(elsewhere.into_iter().map(|(entry, files)| Left { name: entry.name, open: Some(files) }));
    let (code, signal) = (status.and_then(|s: ExitStatus| s.code()), status.and_then(|s| s.signal()));
    let _ = tell.send(Told::Ended { code, signal, left });
}
