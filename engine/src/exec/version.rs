//! The version probe: what a program says about itself is part of the key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::environment::{Folders, base};
use super::failure;
use crate::process::{Captured, Log, Program, Stopped, run};
use crate::step::{NodeError, Outlook};

/// Longest time that a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(60);
/// The most bytes that it may print: all of them are in the key. A list of every package of a machine is far below.
const LONGEST: u64 = 16 * 1024 * 1024;

type Question = (Vec<String>, BTreeMap<String, String>);

/// Answers, by question: asked once in a process, however many jobs a node has.
#[derive(Default)]
pub(super) struct Versions(Mutex<BTreeMap<Question, Result<String, NodeError>>>);

impl Versions {
    /// What `argv` prints under the declared variables.
    pub(super) fn ask(&self, argv: &[String], env: &BTreeMap<String, String>) -> Result<String, NodeError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((argv.to_vec(), env.clone())).or_insert_with(|| ask(argv, env)).clone()
    }
}

fn ask(argv: &[String], env: &BTreeMap<String, String>) -> Result<String, NodeError> {
    let io = |e: std::io::Error| NodeError::failed(format!("the version of a program cannot be asked: {e}"));
    let scratch = tempfile::tempdir().map_err(io)?;
    let folders = Folders::create(scratch.path()).map_err(io)?;
    let mut all = base(&folders);
    all.extend(env.iter().map(|(name, value)| (name.clone(), value.into())));
    let name = argv.join(" ");
    let program = Program {
        argv: argv.iter().map(Into::into).collect(),
        env: all,
        folder: folders.work,
        outputs: folders.code,
    };
    // Not the last lines of the log only: the version that changes may stand in the first.
    let answer = scratch.path().join("answer");
    let log = Captured::new(Log::create(&answer, &name, &[]).map_err(io)?);
    let begin = Instant::now();
    let ended = run(&program, (&log, None), &|| begin.elapsed() > LIMIT);
    if begin.elapsed() > LIMIT {
        let message = format!("`{name}` did not say its version within {} s", LIMIT.as_secs());
        return Err(NodeError::data(message).outlook(Outlook::Unknown));
    }
    // What cannot be started is the program, whatever it should have been asked.
    let called = match (&ended, argv.first()) {
        (Err(Stopped::Unstartable { .. }), Some(program)) => program,
        _ => &name,
    };
    failure::check(called, ended, &log).map_err(|e| match e.help {
        Some(_) => e,
        None => e.help("what stands under `version:` has to print a version and end with exit code 0"),
    })?;
    let bytes = fs_err::metadata(&answer).map_err(io)?.len();
    if bytes > LONGEST {
        let message = format!("`{name}` printed {} MiB as its version", bytes.div_ceil(1024 * 1024));
        return Err(NodeError::data(message)
            .outlook(Outlook::Unknown)
            .help(format!("what stands under `version:` may print up to {} MiB", LONGEST / 1024 / 1024)));
    }
    Ok(tidy(&fs_err::read_to_string(answer).map_err(io)?))
}

/// Without white space at ends of lines, and empty lines around.
fn tidy(said: &str) -> String {
    said.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}
