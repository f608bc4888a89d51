//! What a program prints: kept in a file, its last lines at hand, secrets masked before anything is written.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fs_err::File;

/// Lines that an error message shows.
const TAIL: usize = 20;
/// Longest line that is taken as one, in bytes.
const LINE: u64 = 64 * 1024;
/// The most bytes of a line that are kept until it is known where a secret in them ends.
const LONGEST: usize = 1024 * 1024;
/// A log beyond this size in bytes ends with a note: no node needs more to be understood, and disks are finite.
const LIMIT: u64 = 64 * 1024 * 1024;
/// Shown instead of a secret.
const MASK: &str = "***";
/// Parts of a secret shorter than this are everywhere; masking them would tear words apart.
const SHORTEST: usize = 4;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Log {
    /// Named in the live log.
    name: String,
    file: Option<File>,
    bytes: u64,
    tail: VecDeque<String>,
    secrets: Vec<String>,
}

impl Log {
    /// A log in a new file.
    pub(crate) fn create(path: &Path, name: &str, secrets: &[String]) -> std::io::Result<Self> {
        Ok(Self { file: Some(File::create(path)?), ..Self::in_memory(name, secrets) })
    }

    /// A log of which only the last lines are kept.
    pub(crate) fn in_memory(name: &str, secrets: &[String]) -> Self {
        let parts = secrets.iter().flat_map(|secret| secret.lines());
        let mut secrets: Vec<String> =
            parts.filter(|part| part.len() >= SHORTEST).map(str::to_owned).collect();
        // The longest first: one secret may hold another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { name: name.to_owned(), file: None, bytes: 0, tail: VecDeque::new(), secrets }
    }

    /// `text` without secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// How much of the beginning of a line that goes on can be taken without tearing a secret or a letter apart.
    fn whole(&self, line: &[u8]) -> usize {
        let longest = self.secrets.iter().map(String::len).max().unwrap_or(0);
        let mut end = line.len().saturating_sub(longest.max(4));
        // A secret that starts before the cut ends within the line: the cut moves to its beginning.
        while let Some(begin) = self.secrets.iter().filter_map(|secret| across(line, end, secret)).min() {
            end = begin;
        }
        (0..=end).rev().find(|cut| line.get(*cut).is_none_or(|byte| byte & 0xC0 != 0x80)).unwrap_or(end)
    }

    fn line(&mut self, line: &[u8]) {
        let text = self.mask(&String::from_utf8_lossy(line));
        tracing::info!("{}: {}", self.name, text.trim_end());
        if let Some(file) = &mut self.file {
            let before = self.bytes;
            self.bytes += text.len() as u64;
            if self.bytes <= LIMIT {
                // A full disk shows when the outputs are written.
                let _ = file.write_all(text.as_bytes());
            } else if before <= LIMIT {
                let _ = file.write_all(b"[the log is longer than 64 MiB; the rest is left out]\n");
            }
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(text.trim_end().to_owned());
    }
}

/// Where the first occurrence of `secret` that `cut` would tear apart begins.
fn across(line: &[u8], cut: usize, secret: &str) -> Option<usize> {
    let first = (cut + 1).saturating_sub(secret.len());
    (first..cut).find(|begin| line[*begin..].starts_with(secret.as_bytes()))
}

/// A log that threads share.
#[derive(Clone, Debug)]
pub(crate) struct Captured(Arc<Mutex<Log>>);

impl Captured {
    /// Shares a log.
    pub(crate) fn new(log: Log) -> Self {
        Self(Arc::new(Mutex::new(log)))
    }

    /// Takes everything that comes, line by line.
    pub(super) fn read(&self, from: impl Read) {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            let ended = match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => true,
                Ok(_) => false,
            };
            if ended && line.is_empty() {
                return;
            }
            self.with(|log| {
                let whole = if ended || line.ends_with(b"\n") { line.len() } else { log.whole(&line) };
                // A line of nothing but secrets that overlap must not be kept for ever.
                let taken = if whole == 0 && line.len() > LONGEST { line.len() } else { whole };
                if taken > 0 {
                    log.line(&line[..taken]);
                    line.drain(..taken);
                }
            });
        }
    }

    /// `text` without secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.with(|log| log.mask(text))
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.with(|log| log.tail.iter().cloned().collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Log) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
