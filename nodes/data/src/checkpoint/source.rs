//! Positioned reads of one open file. No memory map: a file that changes underneath is an error and not a crash.

use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fs_err::File;

/// An open file of known length.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    backing: Backing,
    length: u64,
}

#[derive(Debug)]
enum Backing {
    File(Mutex<File>),
    Memory(Vec<u8>),
}

impl Source {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), backing: Backing::File(Mutex::new(file)), length })
    }

    /// Bytes that messages call `path`.
    pub(super) fn memory(path: &Path, bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Self { path: path.to_path_buf(), backing: Backing::Memory(bytes), length }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Length when the file was opened.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Fills `out` with the bytes from `offset` on.
    pub(super) fn read_into(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        match &self.backing {
            Backing::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(out)
            }
            Backing::Memory(bytes) => {
                let part = usize::try_from(offset)
                    .ok()
                    .and_then(|from| bytes.get(from..from.checked_add(out.len())?))
                    .ok_or_else(|| {
                        let message = format!("{}: the file ends too early", self.path.display());
                        Error::new(ErrorKind::UnexpectedEof, message)
                    })?;
                out.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// At most `count` bytes from `offset` on; fewer at the end of the file. What a file claims is compared with its
    /// length before anything is allocated.
    pub(super) fn read_up_to(&self, offset: u64, count: usize) -> std::io::Result<Vec<u8>> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut out = vec![0; count.min(left)];
        if !out.is_empty() {
            self.read_into(offset, &mut out)?;
        }
        Ok(out)
    }
}
