//! How an external program ended, in words that say what to do.

use crate::process::{Captured, Ended, Left, Stopped, Trouble};
use crate::step::{FailureCause, NodeError, Outlook, Step};

/// Lines of the log that a message shows.
const SHOWN: usize = 12;

/// `EX_TEMPFAIL` of sysexits.h: the program says that the same work may succeed in a moment.
const TRY_AGAIN: i32 = 75;

/// Turns everything but a clean end into an error. `name` is the program as the user wrote it.
///
/// # Errors
/// When the program did not start, failed, was stopped, or left a process behind that still writes.
pub(crate) fn check(name: &str, ended: Result<Ended, Stopped>, log: &Captured) -> Result<(), NodeError> {
    let ended = match ended {
        Ok(ended) => ended,
        Err(Stopped::Cancelled) => return Err(NodeError::new(FailureCause::Cancelled, "stopped")),
        Err(Stopped::Unstartable { trouble, message }) => return Err(unstartable(name, trouble, &message)),
        Err(Stopped::Io(e)) => return Err(NodeError::failed(format!("`{name}` could not be run: {e}"))),
    };
    match (ended.code, ended.signal) {
        (Some(0), _) => unfinished(name, &ended.left),
        (Some(code), _) => {
            let error = NodeError::failed(format!("`{name}` ended with exit code {code}{}", told(log)));
            Err(if code == TRY_AGAIN { error.outlook(Outlook::Passing) } else { error })
        }
        (None, Some(9)) => Err(NodeError::failed(format!("`{name}` was killed (signal 9){}", told(log)))
            .help("most often because memory ran out: give the node less to do at once, or more memory")),
        (None, Some(signal)) => {
            Err(NodeError::failed(format!("`{name}` was ended by signal {signal}{}", told(log))))
        }
        (None, None) => Err(NodeError::failed(format!("`{name}` ended in an unknown way{}", told(log)))),
    }
}

/// The last lines of a log, to stand after a sentence.
pub(crate) fn told(log: &Captured) -> String {
    let lines = log.tail();
    let lines = &lines[lines.len().saturating_sub(SHOWN)..];
    match lines.iter().all(String::is_empty) {
        true => "; it printed nothing".to_owned(),
        false => format!("; its last lines:\n  {}", lines.join("\n  ")),
    }
}

/// The machine is at fault, not the action: once the program is there, the same action works.
fn unstartable(name: &str, trouble: Trouble, message: &str) -> NodeError {
    let error = match trouble {
        Trouble::Missing => NodeError::data(format!("there is no program `{name}`")).help(
            "install it, or put its folder into PATH; a program of your own is named {code:PATH}, and the program that its \
             first line (#!) names must be there too",
        ),
        Trouble::NotAllowed => NodeError::data(format!("`{name}` is not allowed to be run")).help(
            "make it executable (chmod +x), or name its interpreter first: [python3, \"{code:PATH}\"]; the file system of the \
             store must not be mounted with noexec",
        ),
        Trouble::Other => NodeError::data(format!("`{name}` could not be started: {message}"))
            .help("a script needs a first line that names its interpreter: #!/usr/bin/env python3"),
    };
    error.outlook(Outlook::Unknown)
}

fn unfinished(name: &str, left: &[Left]) -> Result<(), NodeError> {
    let open = |process: &Left| match &process.open {
        Some(files) if files.is_empty() => None,
        Some(files) => Some(format!("{} ({})", process.name, files.join(", "))),
        None => Some(format!("{} (this system does not show which)", process.name)),
    };
    let writing: Vec<String> = left.iter().filter_map(open).collect();
    if writing.is_empty() {
        if !left.is_empty() {
            let names: Vec<&str> = left.iter().map(|process| process.name.as_str()).collect();
            tracing::warn!("`{name}` left processes behind, which were ended: {}", names.join(", "));
        }
        return Ok(());
    }
    let may = if left.iter().all(|process| process.open.is_none()) { "may have held" } else { "still held" };
    let message = format!(
        "`{name}` ended while processes that it had started {may} outputs open: {}",
        writing.join("; ")
    );
    Err(NodeError::failed(message)
        .help("let the program wait for what it starts: `wait` at the end of a shell script"))
}

/// Whether a program that ended well wrote what it was to write.
///
/// # Errors
/// When an output is not there. What is there in another shape is found by the engine.
pub(crate) fn check_outputs(name: &str, step: &Step<'_>, log: &Captured) -> Result<(), NodeError> {
    match step.outputs.iter().find(|(_, path)| !path.exists()) {
        None => Ok(()),
        Some((port, _)) => Err(NodeError::failed(format!(
            "`{name}` ended well and did not write its output `{port}`{}",
            told(log)
        ))
        .help(format!("it has to write a file at the path that it gets as {{out:{port}}}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_knowing_what_a_process_writes_is_not_knowing_that_it_writes_nothing() {
        let left = |open: Option<Vec<String>>| Left { name: "sleep".to_owned(), open };
        assert!(unfinished("make", &[left(Some(Vec::new()))]).is_ok());
        let message = |open| unfinished("make", &[left(open)]).unwrap_err().message;
        let known = "`make` ended while processes that it had started still held outputs open: sleep (a.csv)";
        assert_eq!(message(Some(vec!["a.csv".to_owned()])), known);
        let unknown = "`make` ended while processes that it had started may have held outputs open: sleep (this system does \
                       not show which)";
        assert_eq!(message(None), unknown);
    }
}
