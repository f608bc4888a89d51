//! Copies of files: with shared blocks where the file system can, else piece by piece, so that it can be stopped.

use std::io::{self, Read as _};
use std::path::Path;

use fs_err::{File, OpenOptions};

use crate::error::{IoContext, Result};
use crate::stop::{CHUNK, Stop};

/// Makes `to`, where nothing is yet, a file of its own with the content of `from`. After a failure, what was begun is left to
/// whoever chose the place.
pub(crate) fn copy(from: &Path, to: &Path, stop: &Stop) -> Result<()> {
    stop.check(from)?;
    match reflink_copy::reflink(from, to) {
        Ok(()) => Ok(()),
        // Whatever the reason: if copying fails too, it knows at which of the two files.
        Err(_) => copy_pieces(from, to, stop),
    }
}

fn copy_pieces(from: &Path, to: &Path, stop: &Stop) -> Result<()> {
    let source = File::open(from).at("read", from)?;
    let target = OpenOptions::new().write(true).create_new(true).open(to).at("write", to)?;
    // The standard library's own files, between which it lets the kernel copy.
    let (mut source, mut target) = (source.file(), target.file());
    loop {
        let copied = match io::copy(&mut source.take(CHUNK as u64), &mut target) {
            Ok(copied) => copied,
            // The kernel does not say which of the two it was.
            Err(e) => {
                source.read(&mut [0]).at("read", from)?;
                return Err(e).at("write", to);
            }
        };
        if copied < CHUNK as u64 {
            return Ok(());
        }
        stop.check(from)?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::StoreError;

    #[test]
    fn pieces_make_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            fs_err::write(&from, &bytes).unwrap();
            copy_pieces(&from, &to, &Stop::default()).unwrap();
            assert!(fs_err::read(&to).unwrap() == bytes, "{size} bytes");
            assert!(copy_pieces(&from, &to, &Stop::default()).is_err(), "what is there stays");
            fs_err::remove_file(&to).unwrap();
        }
    }

    #[test]
    fn the_file_that_fails_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs_err::write(at("file"), "x").unwrap();
        fs_err::create_dir(at("folder")).unwrap();
        for (from, to, names) in [
            ("absent", "a", "read"),
            ("folder", "b", "read"),
            ("file", "absent/c", "write"),
            ("file", "file", "write"),
        ] {
            let error = copy(&at(from), &at(to), &Stop::default()).unwrap_err().to_string();
            let path = at(if names == "read" { from } else { to });
            assert!(error.starts_with(&format!("cannot {names} {}", path.display())), "{error}");
        }
    }

    #[test]
    fn a_large_copy_can_be_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        // A hole: it takes no space.
        File::create(&from).unwrap().set_len(256 << 20).unwrap();
        let asked = AtomicUsize::new(0);
        let stop = Stop::when(move || asked.fetch_add(1, Ordering::Relaxed) >= 2);
        let stopped = copy_pieces(&from, &to, &stop);
        assert!(matches!(stopped, Err(StoreError::Cancelled { .. })), "{stopped:?}");
        assert_eq!(fs_err::metadata(&to).unwrap().len(), 3 * CHUNK as u64);
        let before = copy(&from, &dir.path().join("other"), &Stop::when(|| true));
        assert!(matches!(before, Err(StoreError::Cancelled { .. })), "{before:?}");
    }
}
