//! The supervisor: celldag started once more, as the parent of one external program.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};

use super::message::{ASK, KILL, Left, Told, Trouble};
use super::table;

/// First argument of the supervisor. No command has this name.
pub(super) const WORD: &str = "__supervise";

/// How long a program's children may take to end after it.
pub(super) const TRAILING: Duration = Duration::from_secs(1);
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// How long a file that was just written may count as busy: another thread that starts a program holds it for an instant.
const BUSY: Duration = Duration::from_secs(2);

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Has to be called first thing in `main`: when this process was started as a supervisor, it does that work and gives the
/// exit code. Otherwise the program counts as one that can be started so, and goes on.
#[must_use]
pub fn supervise_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == WORD) {
        let outputs = PathBuf::from(args.next().unwrap_or_default());
        return Some(supervise(&outputs, &args.collect::<Vec<_>>()));
    }
    // The file itself, also when another version takes its name while we run.
    let own = Path::new("/proc/self/exe");
    let path = if own.exists() { Some(own.to_owned()) } else { std::env::current_exe().ok() };
    if let Some(path) = path {
        let _ = PROGRAM.set(path);
    }
    None
}

/// The program to start as a supervisor, if there is one.
pub(super) fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

fn supervise(outputs: &Path, argv: &[OsString]) -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let socket = UnixStream::from(socket);
    let Ok(listening) = socket.try_clone() else { return ExitCode::FAILURE };
    // Processes whose parent ends become our children, wherever they have gone.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let child = match start(argv) {
        Ok(child) => child,
        Err(e) => {
            tell(&socket, &Told::Unstartable { trouble: Trouble::from(&e), message: e.to_string() });
            return ExitCode::SUCCESS;
        }
    };
    let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return ExitCode::FAILURE;
    };
    tell(&socket, &Told::Started { pid: group.as_raw_nonzero().get() });
    let listener = std::thread::Builder::new().spawn(move || listen(listening, group));
    if listener.is_err() {
        // Deaf, it could not tell when celldag dies.
        end_all(group);
        return ExitCode::FAILURE;
    }
    let status = wait_for(group);
    let left = end_rest(group, outputs);
    tell(
        &socket,
        &Told::Ended {
            code: status.and_then(WaitStatus::exit_status),
            signal: status.and_then(WaitStatus::terminating_signal),
            left,
        },
    );
    ExitCode::SUCCESS
}

fn start(argv: &[OsString]) -> std::io::Result<Child> {
    let Some((name, arguments)) = argv.split_first() else {
        return Err(std::io::Error::other("no program is named"));
    };
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    #[cfg(target_os = "linux")]
    {
        let die_with_parent = || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)
        };
        #[expect(unsafe_code, reason = "no crate sets the signal for a child that it starts")]
        // SAFETY: between fork and exec the closure makes one system call: it neither allocates nor takes a lock.
        unsafe {
            command.pre_exec(die_with_parent);
        }
    }
    let begin = Instant::now();
    loop {
        match command.spawn() {
            Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy && begin.elapsed() < BUSY => {
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

/// Obeys celldag, until it is gone: then nothing of the program may stay.
fn listen(mut socket: UnixStream, group: Pid) {
    let mut word = [0];
    loop {
        match socket.read(&mut word) {
            Ok(0) => break,
            Ok(_) if word[0] == ASK => {
                let _ = kill_process_group(group, Signal::TERM);
            }
            Ok(_) if word[0] == KILL => {
                let _ = kill_process_group(group, Signal::KILL);
            }
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    end_all(group);
    #[expect(clippy::exit, reason = "nobody is left to tell")]
    std::process::exit(1);
}

/// Waits for the program; processes that became ours end in passing.
fn wait_for(program: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => return Some(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Gives the program's children a moment, and then ends what is left. Says who that was.
fn end_rest(group: Pid, outputs: &Path) -> Vec<Left> {
    let begin = Instant::now();
    let left = loop {
        reap();
        let left = table::below(group);
        if left.is_empty() || begin.elapsed() >= TRAILING {
            break left;
        }
        std::thread::sleep(PAUSE);
    };
    let told = left
        .iter()
        .map(|entry| Left { name: entry.name.clone(), open: table::open_files(entry.pid, outputs) })
        .collect();
    if !left.is_empty() {
        end_all(group);
    }
    told
}

/// Kills the group and everything below us, until nothing is left: a process may start others while it is being killed.
fn end_all(group: Pid) {
    for _ in 0..500 {
        let _ = kill_process_group(group, Signal::KILL);
        let left = table::below(group);
        if left.is_empty() {
            return;
        }
        for entry in left {
            let _ = kill_process(entry.pid, Signal::KILL);
        }
        reap();
        std::thread::sleep(PAUSE);
    }
}

fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

fn tell(mut socket: &UnixStream, told: &Told) {
    if let Ok(mut line) = serde_json::to_vec(told) {
        line.push(b'\n');
        // Nobody listens any more: the listener ends everything.
        let _ = socket.write_all(&line);
    }
}

/// The two ends of the socket: ours, and the one that becomes the supervisor's standard input.
pub(super) fn sockets() -> std::io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs.into()))
}
