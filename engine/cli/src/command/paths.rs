//! Paths of the command line: those that are read must be there, and those that are written must be possible, before any work
//! is done for them.

use std::io::ErrorKind;
use std::path::Path;

use super::shared::shown;
use crate::failure::{Failure, io_help};

/// Refuses a path that is not there or cannot be read; `what` says which argument it is. `path` as it was typed.
pub(super) fn must_exist(what: &str, path: &Path) -> Result<(), Failure> {
    // A file that can be seen cannot always be opened. Opening a pipe would wait for who writes into it.
    let looked = fs_err::metadata(path)
        .and_then(|meta| if meta.is_file() { fs_err::File::open(path).map(drop) } else { Ok(()) });
    let Err(e) = looked else { return Ok(()) };
    let path_shown = path.display();
    let (message, help) = match e.kind() {
        ErrorKind::NotFound if path.is_relative() => (
            format!("{what}: {path_shown} does not exist"),
            Some("check the path; it starts where you stand".to_owned()),
        ),
        ErrorKind::NotFound => (format!("{what}: {path_shown} does not exist"), io_help(e.kind())),
        kind => (format!("{what}: {path_shown} cannot be read: {kind}"), io_help(kind)),
    };
    Err(Failure::Unread { message, help })
}

/// Folders on the way to a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folders {
    /// Made where they are missing.
    Made,
    /// They have to be there.
    There,
}

/// Refuses a path where no file can be written: that of a folder, or one that [`must_have_room`] refuses.
pub(super) fn must_be_a_file(what: &str, path: &Path, folders: Folders) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(refused(format!("{what} {} is a folder", path.display()), ErrorKind::IsADirectory));
    }
    must_have_room(what, path, folders)
}

/// Refuses a path of a file or folder below a file, or in a folder that is not there.
pub(super) fn must_have_room(what: &str, path: &Path, folders: Folders) -> Result<(), Failure> {
    for above in std::path::absolute(path)?.ancestors().skip(1) {
        if above.is_dir() {
            break;
        }
        let place = format!("{what} {}: {}", path.display(), shown(above).display());
        if above.exists() {
            return Err(refused(format!("{place} is a file, not a folder"), ErrorKind::NotADirectory));
        }
        if folders == Folders::There {
            return Err(refused(format!("{place} does not exist"), ErrorKind::NotFound));
        }
    }
    Ok(())
}

fn refused(message: String, why: ErrorKind) -> Failure {
    Failure::Usage { message, help: io_help(why) }
}
