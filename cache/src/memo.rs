//! Remembers the digests of files outside the store, so that an unchanged file is hashed once, not once a run.
//!
//! A file counts as unchanged while path, size, modification time, change time, inode and device are. The log is a
//! text of one line an entry, each with a checksum, appended in single writes: several processes may append, and a line
//! that a crash cut off is skipped. It holds nothing that hashing again would not give.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use fs_err::{File, OpenOptions};

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::files;
use crate::hash::digest_stamped;
use crate::stamp::Stamp;
use crate::stop::Stop;
use crate::store::{Store, lock};
use crate::tree::{Hidden, TreeManifest, manifest_of};

/// A file that changed less than this before it was hashed may change again within one tick of the file system's clock.
const SETTLED: Duration = Duration::from_secs(2);

/// The digests of files, by path and stamp.
#[derive(Debug)]
pub struct Memo {
    log: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    loaded: bool,
    entries: BTreeMap<PathBuf, (Stamp, Digest)>,
    file: Option<File>,
    /// Appending failed or is not wanted (a read-only store): remember within this process only.
    memory_only: bool,
}

impl Memo {
    /// The memo whose log is at `log`; nothing is read or written yet.
    #[must_use]
    pub fn at(log: PathBuf) -> Self {
        Self { log, state: Mutex::default() }
    }

    /// As [`Self::at`], of a log that is read and never written.
    #[must_use]
    pub fn look(log: PathBuf) -> Self {
        Self { log, state: Mutex::new(State { memory_only: true, ..State::default() }) }
    }

    /// The digest and size of a file, hashed only if it may have changed since it was last hashed.
    ///
    /// # Errors
    /// When the file cannot be read or changes while it is read.
    pub fn digest(&self, path: &Path) -> Result<(Digest, u64)> {
        self.digest_until(path, &Stop::default())
    }

    fn digest_until(&self, path: &Path, stop: &Stop) -> Result<(Digest, u64)> {
        let real = fs_err::canonicalize(path).at("read", path)?;
        let stamp = Stamp::of(&real)?;
        {
            let mut state = lock(&self.state);
            self.load(&mut state);
            if let Some((known, digest)) = state.entries.get(&real)
                && *known == stamp
            {
                return Ok((*digest, stamp.size));
            }
        }
        // Asked before reading: a write within the same tick as the last one must not come after our first read.
        let settled = stamp.is_older_than(SETTLED);
        let (digest, now) = digest_stamped(&real, stop)?;
        if settled && now == stamp {
            self.remember(real, stamp, digest);
        }
        Ok((digest, now.size))
    }

    fn remember(&self, path: PathBuf, stamp: Stamp, digest: Digest) {
        let mut state = lock(&self.state);
        if let Some(line) = write_line(&path, &stamp, &digest)
            && !state.memory_only
            && let Err(e) = self.append(&mut state, &line)
        {
            tracing::debug!(log = %self.log.display(), error = %e, "digests are remembered in memory only");
            state.memory_only = true;
        }
        state.entries.insert(path, (stamp, digest));
    }

    fn append(&self, state: &mut State, line: &str) -> std::io::Result<()> {
        if state.file.is_none() {
            fs_err::create_dir_all(files::parent(&self.log))?;
            let mut file = OpenOptions::new().append(true).create(true).open(&self.log)?;
            // Ends a line that a crash cut off; empty lines are skipped.
            file.write_all(b"\n")?;
            state.file = Some(file);
        }
        state.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()))
    }

    fn load(&self, state: &mut State) {
        if state.loaded {
            return;
        }
        state.loaded = true;
        match fs_err::read(&self.log) {
            Ok(bytes) => state.entries = read_lines(&bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => {
                tracing::warn!(error = %e, "known digests of files cannot be read; files are hashed again");
            }
        }
    }

    /// Rewrites the log without files that are gone or changed. Returns the bytes saved. Not during runs.
    pub(crate) fn compact(&self, store: &Store, dry_run: bool) -> Result<u64> {
        let before = fs_err::metadata(&self.log).map_or(0, |meta| meta.len());
        if before == 0 {
            return Ok(0);
        }
        let mut state = lock(&self.state);
        self.load(&mut state);
        let current = |path: &PathBuf, stamp: &Stamp| Stamp::of(path).is_ok_and(|now| now == *stamp);
        let mut text = String::new();
        for (path, (stamp, digest)) in state.entries.iter().filter(|(path, (stamp, _))| current(path, stamp))
        {
            text.extend(write_line(path, stamp, digest));
        }
        let saved = before.saturating_sub(text.len() as u64);
        if saved > 0 && !dry_run {
            store.write_atomic(&self.log, text.as_bytes())?;
            state.file = None;
        }
        Ok(saved)
    }
}

/// `check size mtime ctime inode device digest "path"`; `None` for what a line cannot hold.
fn write_line(path: &Path, stamp: &Stamp, digest: &Digest) -> Option<String> {
    let path = serde_json::Value::from(path.to_str()?);
    let Stamp { size, mtime, ctime, inode, device } = stamp;
    let body = format!("{size} {mtime} {ctime} {inode} {device} {digest} {path}");
    Some(format!("{} {body}\n", check(&body)))
}

fn check(body: &str) -> String {
    let mut hex = Digest::of_bytes(body.as_bytes()).to_string();
    hex.truncate(16);
    hex
}

fn read_lines(bytes: &[u8]) -> BTreeMap<PathBuf, (Stamp, Digest)> {
    // Later lines win.
    bytes.split(|&b| b == b'\n').filter_map(|line| read_line(std::str::from_utf8(line).ok()?)).collect()
}

fn read_line(line: &str) -> Option<(PathBuf, (Stamp, Digest))> {
    let (sum, body) = line.split_once(' ')?;
    if sum != check(body) {
        return None;
    }
    let mut parts = body.splitn(7, ' ');
    let stamp = Stamp {
        size: parts.next()?.parse().ok()?,
        mtime: parts.next()?.parse().ok()?,
        ctime: parts.next()?.parse().ok()?,
        inode: parts.next()?.parse().ok()?,
        device: parts.next()?.parse().ok()?,
    };
    let digest = parts.next()?.parse().ok()?;
    let path: String = serde_json::from_str(parts.next()?).ok()?;
    Some((PathBuf::from(path), (stamp, digest)))
}

impl Store {
    /// The digest and size of a user's file or folder, through the memo. Of a folder, `files` relative to it or
    /// everything below it except hidden files; of a file, `files` relative to its folder, or the file alone. Equal to
    /// [`crate::digest_file`] and [`crate::digest_tree`].
    ///
    /// # Errors
    /// When something cannot be read or changes while it is read.
    pub fn digest_path(&self, path: &Path, files: Option<&[PathBuf]>) -> Result<(Digest, u64)> {
        let mut root = path;
        if !fs_err::metadata(path).at("read", path)?.is_dir() {
            if files.is_none() {
                return self.remembered(path);
            }
            // What is read with a file lies beside it.
            root = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        }
        let manifest = self.manifest(root, files, Hidden::Skip)?;
        Ok((manifest.digest(), manifest.size()))
    }

    pub(crate) fn manifest(
        &self,
        root: &Path,
        files: Option<&[PathBuf]>,
        hidden: Hidden,
    ) -> Result<TreeManifest> {
        manifest_of(root, files, hidden, &mut |file| self.remembered(file))
    }

    /// [`Memo::digest`] as this handle does it.
    pub(crate) fn remembered(&self, path: &Path) -> Result<(Digest, u64)> {
        self.memo().digest_until(path, self.stop())
    }
}

#[cfg(test)]
mod tests;
