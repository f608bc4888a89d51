//! Temporary bytes (`keep: temp`), noted for as long as a run owes their deletion: what a killed run leaves is known as such.
//!
//! A run appends to a note of its own before such bytes get their place in the store, and holds a lock as long as it lives.
//! A run that goes on with the same jobs adopts what a dead one has noted, and drops it when its last consumer is done. Nobody
//! else touches it: a run that was killed a minute ago is tried again in the next. Garbage collection drops what no result that
//! it has to keep refers to.

mod dead;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Key};
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::host::process_name;
use crate::lock::KeyLock;
use crate::record::Artifact;
use crate::store::{Store, lock};

/// Folder of the notes.
const FOLDER: &str = "temporary";

/// One line of a note.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// These bytes are temporary, as the result of this key.
    Made { key: Key, artifact: Artifact },
    /// They are the result of a job that keeps its bytes.
    Kept { digest: Digest },
    /// They were dropped.
    Gone { digest: Digest },
}

/// What a note says.
#[derive(Debug, Default)]
struct Note {
    made: BTreeMap<Digest, (Artifact, BTreeSet<Key>)>,
    kept: BTreeSet<Digest>,
}

impl Note {
    fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path).at("read", path)?;
        let mut note = Self::default();
        // A kill may have cut off the last line: its bytes did not get their place then.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|line| note.apply(&line));
        Ok(note)
    }

    fn apply(&mut self, line: &Line) {
        match line {
            Line::Made { key, artifact } => {
                self.made
                    .entry(artifact.digest)
                    .or_insert_with(|| (*artifact, BTreeSet::new()))
                    .1
                    .insert(*key);
            }
            Line::Kept { digest } => {
                self.made.remove(digest);
                self.kept.insert(*digest);
            }
            Line::Gone { digest } => {
                self.made.remove(digest);
            }
        }
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        let made = self
            .made
            .values()
            .flat_map(|(artifact, keys)| keys.iter().map(|&key| Line::Made { key, artifact: *artifact }));
        let kept = self.kept.iter().map(|&digest| Line::Kept { digest });
        made.chain(kept)
    }
}

/// The temporary bytes of one run. Dropped without [`Temporary::finish`], it leaves its note as a kill does.
#[derive(Debug)]
pub struct Temporary {
    store: Store,
    /// What dead runs have left, as it was at the beginning.
    orphans: BTreeSet<Digest>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    note: Note,
    /// Bytes that were an orphan's, and that this run has decided about.
    adopted: BTreeSet<Digest>,
    /// Made with the first line.
    open: Option<Open>,
}

/// A note on disk; the lock is held as long as the run lives.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    /// The last line may be incomplete.
    torn: bool,
    _lock: KeyLock,
}

impl Store {
    /// For the temporary bytes of a run that begins now. Nothing is written as long as there are none.
    #[must_use]
    pub fn temporary(&self) -> Temporary {
        let orphans = self.orphans().unwrap_or_else(|e| {
            tracing::warn!(error = %e, "it is not known which temporary bytes killed runs have left");
            BTreeSet::new()
        });
        Temporary { store: self.clone(), orphans, state: Mutex::default() }
    }
}

impl Temporary {
    /// Whether these bytes were left by a dead run: whoever has them as temporary drops them in its place, as if it had made
    /// them.
    #[must_use]
    pub fn is_orphan(&self, digest: &Digest) -> bool {
        self.orphans.contains(digest)
    }

    /// These bytes are temporary. Said before they get their place in the store.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn made(&self, key: &Key, artifact: &Artifact) -> Result<()> {
        let state = &mut *lock(&self.state);
        self.append(state, &Line::Made { key: *key, artifact: *artifact })?;
        // Not before it is written down: until then the bytes are known by the note of the dead run.
        if self.is_orphan(&artifact.digest) {
            state.adopted.insert(artifact.digest);
        }
        Ok(())
    }

    /// A job that keeps its bytes has these.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn kept(&self, digest: &Digest) -> Result<()> {
        let state = &mut *lock(&self.state);
        if state.note.kept.contains(digest)
            || !(self.is_orphan(digest) || state.note.made.contains_key(digest))
        {
            return Ok(());
        }
        self.append(state, &Line::Kept { digest: *digest })?;
        state.adopted.insert(*digest);
        Ok(())
    }

    /// These bytes were dropped.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn gone(&self, digest: &Digest) -> Result<()> {
        let state = &mut *lock(&self.state);
        if state.note.made.contains_key(digest) {
            self.append(state, &Line::Gone { digest: *digest })?;
        }
        Ok(())
    }

    /// The run is over. Its bytes that are still there, because a consumer of them has not run, wait for a run that goes on.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn finish(&self) -> Result<()> {
        let state = &mut *lock(&self.state);
        if !state.adopted.is_empty() {
            self.store.hand_over(&state.adopted)?;
        }
        // The note goes before its lock does.
        if let Some(open) = state.open.take()
            && state.note.made.is_empty()
        {
            files::remove_file(&open.path)?;
        }
        Ok(())
    }

    /// Not flushed to the disk: after a power failure the bytes wait for garbage collection, as others that nobody wants.
    fn append(&self, state: &mut State, line: &Line) -> Result<()> {
        if state.open.is_none() {
            state.open = Some(self.store.open_note()?);
        }
        if let Some(open) = &mut state.open {
            // What a full disk cut off must not spoil the next line.
            let begin = if open.torn { "\n" } else { "" };
            let text = format!("{begin}{}", text(line, &open.path)?);
            open.torn = true;
            open.file.write_all(text.as_bytes()).at("write", &open.path)?;
            open.torn = false;
        }
        state.note.apply(line);
        Ok(())
    }
}

fn text(line: &Line, path: &Path) -> Result<String> {
    let text =
        serde_json::to_string(line).map_err(|e| StoreError::io("write", path, std::io::Error::other(e)))?;
    Ok(text + "\n")
}

impl Store {
    fn open_note(&self) -> Result<Open> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = format!("{}-{}", process_name(), COUNT.fetch_add(1, Ordering::Relaxed));
            // Held before there is a note: nobody can see the unheld note of a living run.
            let Some(lock) = self.try_hold(&self.note_lock(&name))? else { continue };
            let path = self.dir(FOLDER).join(name);
            files::create_dir(files::parent(&path))?;
            let file = OpenOptions::new().append(true).create_new(true).open(&path).at("create", &path)?;
            return Ok(Open { path, file, torn: false, _lock: lock });
        }
    }

    /// The lock of the note with this name.
    fn note_lock(&self, name: &str) -> PathBuf {
        self.dir("locks").join(format!("temporary-{name}"))
    }
}
