//! Nothing of an external program outlives the program that runs it, whatever ends that.

#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use celldag_cache::{Options, Store};
use common::example;

/// A folder with a pipeline of one node, and the program that runs it.
struct Place {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Place {
    fn new(script: &str, rest: &str) -> Option<Self> {
        let place =
            Self { folder: tempfile::tempdir().expect("a folder"), program: example("run_pipeline")? };
        place.write(script, rest);
        Some(place)
    }

    fn write(&self, script: &str, rest: &str) {
        let text = format!(
            "celldag: 1\nnodes:\n  a:\n    uses: exec\n    out: {{t: t.txt}}\n    run: [sh, -c, 'cd {}; {script}', sh, \"{{out:t}}\"]\n{rest}",
            self.folder.path().display()
        );
        fs_err::write(self.join("p.yaml"), text).expect("a pipeline");
    }

    fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Child {
        let mut command = Command::new(&self.program);
        command.arg(self.join("p.yaml")).arg(self.join("store")).spawn().expect("the program starts")
    }

    /// Exit code, and the message of a failure.
    fn run(&self) -> (Option<i32>, String) {
        let code = self.start().wait().expect("it ends").code();
        let store = Store::open(&self.join("store"), Options::default()).expect("the store");
        let mut runs: Vec<PathBuf> =
            fs_err::read_dir(store.runs_dir()).expect("runs").map(|e| e.expect("a run").path()).collect();
        runs.sort();
        let newest = runs.last().expect("a run").join("jobs.json");
        (code, fs_err::read_to_string(newest).expect("its jobs"))
    }
}

/// Processes whose arguments hold a text.
fn with_argument(text: &str) -> Vec<String> {
    let processes = Path::new("/proc").read_dir().expect("/proc").flatten();
    let arguments = processes.filter_map(|entry| fs_err::read_to_string(entry.path().join("cmdline")).ok());
    arguments.filter(|line| line.contains(text)).map(|line| line.replace('\0', " ")).collect()
}

/// Waits until `so` holds.
fn soon(so: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !so() {
        if begin.elapsed() > Duration::from_secs(30) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Starts a child in the group, one that flees into a session of its own, and one that ignores polite signals.
fn family(marker: &str) -> String {
    format!(
        "sleep 300.{marker} & (setsid sleep 301.{marker} &) ; (trap \"\" TERM; sleep 302.{marker}; sleep 303.{marker}) & wait"
    )
}

/// A number of seconds that stands in no other command line: a process number is short, and a part of many other numbers.
fn marker(test: u32) -> String {
    format!("00070711{:09}{test}", std::process::id())
}

fn sleeping(marker: &str) -> usize {
    with_argument(marker).iter().filter(|line| line.starts_with("sleep ")).count()
}

#[test]
fn a_kill_leaves_no_process_behind() {
    let marker = marker(1);
    let Some(place) = Place::new(&family(&marker), "") else { return };
    let mut child = place.start();
    assert!(soon(|| sleeping(&marker) == 3), "{:?}", with_argument(&marker));
    child.kill().expect("SIGKILL");
    child.wait().expect("the killed process");
    assert!(soon(|| with_argument(&marker).is_empty()), "{:?}", with_argument(&marker));
}

#[test]
fn a_killed_supervisor_leaves_no_group_behind() {
    let marker = marker(2);
    let script = format!("sleep 300.{marker} & sleep 301.{marker}");
    let Some(place) = Place::new(&script, "") else { return };
    let mut child = place.start();
    assert!(soon(|| sleeping(&marker) == 2), "{:?}", with_argument(&marker));
    let supervisor = Path::new("/proc").read_dir().expect("/proc").flatten().find(|entry| {
        let line = fs_err::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        line.contains("__supervise") && line.contains(&marker)
    });
    let pid = supervisor.expect("the supervisor").file_name();
    assert!(Command::new("kill").arg("-9").arg(pid).status().expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert!(soon(|| with_argument(&marker).is_empty()), "{:?}", with_argument(&marker));
}

#[test]
fn a_timeout_ends_what_fled_and_what_does_not_listen() {
    let marker = marker(3);
    let Some(place) = Place::new(&family(&marker), "    timeout: 1s\n") else { return };
    let (code, told) = place.run();
    assert_eq!(code, Some(1));
    assert!(told.contains("timeout after 1 s"), "{told}");
    assert_eq!(with_argument(&marker), Vec::<String>::new());
}

#[test]
fn an_output_that_is_still_being_written_is_not_a_result() {
    let Some(place) = Place::new("echo x > \"$1\"; (exec sleep 300 >> \"$1\") &", "") else { return };
    let (code, told) = place.run();
    assert_eq!(code, Some(1));
    assert!(told.contains("still held outputs open: sleep (t.txt)"), "{told}");
    assert!(told.contains("let the program wait for what it starts"), "{told}");
    // Who only sleeps does not matter to the result.
    place.write("sleep 300 & echo y > \"$1\"", "");
    assert_eq!(place.run().0, Some(0));
}

#[test]
fn a_program_that_does_not_exist_is_told_through_the_supervisor() {
    let Some(place) = Place::new("true", "") else { return };
    let text = fs_err::read_to_string(place.join("p.yaml"))
        .expect("the pipeline")
        .replace("run: [sh", "run: [no-such-program");
    fs_err::write(place.join("p.yaml"), text).expect("the pipeline");
    let (code, told) = place.run();
    assert_eq!(code, Some(3));
    assert!(told.contains("there is no program `no-such-program`"), "{told}");
}
