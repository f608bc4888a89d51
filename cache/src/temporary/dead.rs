//! Notes of dead runs: what may go, and what stays because somebody has it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{FOLDER, Note, text};
use crate::digest::Digest;
use crate::error::Result;
use crate::files;
use crate::gc::{Catalog, Claim};
use crate::host::{host, host_of};
use crate::lock::{KeyLock, is_held};
use crate::sandbox::FOREIGN;
use crate::stamp::age;
use crate::store::{Blob, Store};

/// The note of a dead run, held while it is taken over.
struct Dead {
    path: PathBuf,
    note: Note,
    /// How many there are on disk.
    lines: usize,
    _lock: KeyLock,
}

/// All notes, those of dead runs taken over.
pub(crate) struct Notes {
    dead: Vec<Dead>,
    /// Temporary bytes of living runs.
    live: BTreeSet<Digest>,
    /// Bytes that some run keeps, dead or alive.
    kept: BTreeSet<Digest>,
}

impl Store {
    /// Bytes that dead runs have noted.
    pub(super) fn orphans(&self) -> Result<BTreeSet<Digest>> {
        let mut orphans = BTreeSet::new();
        for path in files::list(&self.dir(FOLDER))? {
            // Another run may just have taken it over.
            if self.is_dead(&path)?
                && let Ok(note) = Note::read(&path)
            {
                orphans.extend(note.made.into_keys());
            }
        }
        Ok(orphans)
    }

    /// Takes out of the notes of dead runs what a run has adopted.
    pub(super) fn hand_over(&self, adopted: &BTreeSet<Digest>) -> Result<()> {
        let mut notes = self.take_notes()?;
        for dead in &mut notes.dead {
            dead.note.made.retain(|digest, _| !adopted.contains(digest));
        }
        notes.settle(self)
    }

    /// Takes over the notes of dead runs.
    pub(crate) fn take_notes(&self) -> Result<Notes> {
        let mut notes = Notes { dead: Vec::new(), live: BTreeSet::new(), kept: BTreeSet::new() };
        for path in files::list(&self.dir(FOLDER))? {
            // Asked for before: it knows leases too, which those who use locks do not take. A dead note does not come to life.
            let lock = if self.is_dead(&path)? {
                self.try_hold(&self.note_lock(files::name_of(&path)))?
            } else {
                None
            };
            // Read once it is held, and perhaps gone by now.
            let Ok(note) = Note::read(&path) else { continue };
            notes.kept.extend(&note.kept);
            match lock {
                Some(lock) => {
                    let lines = note.lines().count();
                    notes.dead.push(Dead { path, note, lines, _lock: lock });
                }
                None => notes.live.extend(note.made.keys()),
            }
        }
        Ok(notes)
    }

    /// Nobody holds the note. Kernel locks of other hosts may not reach us on some shared file systems: without leases, their
    /// notes have to be old too.
    fn is_dead(&self, path: &Path) -> Result<bool> {
        let name = files::name_of(path);
        let told = self.leases()
            || host_of(name) == Some(host())
            || fs_err::metadata(path).is_ok_and(|meta| age(&meta) > FOREIGN);
        Ok(told && !is_held(&self.note_lock(name))?)
    }
}

impl Notes {
    /// What garbage collection drops: bytes that only results refer to which were temporary when their run died, that nobody has
    /// adopted or keeps, and whose results need not stay. All that is decided leaves the notes.
    pub(crate) fn give_up(&mut self, store: &Store, catalog: &Catalog) -> Result<BTreeSet<Blob>> {
        let mut blobs = BTreeSet::new();
        if self.dead.is_empty() {
            return Ok(blobs);
        }
        // Two dead runs may have noted the same bytes, under different keys.
        let mut noted = Note::default();
        for dead in &self.dead {
            dead.note.lines().for_each(|line| noted.apply(&line));
        }
        let holders = catalog.holders();
        let mut decided = BTreeSet::new();
        for (digest, (artifact, keys)) in &noted.made {
            if self.live.contains(digest) || self.kept.contains(digest) {
                continue;
            }
            let blob = Blob { digest: *digest, tree: artifact.tree };
            let claim = catalog.claim(&holders, blob, keys);
            if claim == Claim::Free {
                if let Some(manifest) =
                    artifact.tree.then(|| store.read_manifest(digest)).transpose()?.flatten()
                {
                    let files = manifest.files.values().map(|file| Blob::file(file.digest));
                    blobs.extend(files.filter(|file| catalog.claim(&holders, *file, keys) == Claim::Free));
                }
                blobs.insert(blob);
            }
            // What no result refers to is garbage like any other, once it is old enough: a result may be about to be written.
            if matches!(claim, Claim::Free | Claim::Foreign) || !store.blob_path(blob).exists() {
                decided.insert(*digest);
            }
        }
        for dead in &mut self.dead {
            dead.note.made.retain(|digest, _| !decided.contains(digest) && !self.kept.contains(digest));
            dead.note.kept.retain(|digest| self.live.contains(digest));
        }
        Ok(blobs)
    }

    /// Writes down what is left of the notes, and deletes those that say nothing any more.
    pub(crate) fn settle(mut self, store: &Store) -> Result<()> {
        // That bytes are kept is said as long as another note calls them temporary.
        self.dead.sort_by_key(|dead| !dead.note.kept.is_empty());
        for dead in self.dead {
            if dead.note.made.is_empty() && dead.note.kept.is_empty() {
                files::remove_file(&dead.path)?;
            } else if dead.note.lines().count() != dead.lines {
                let lines = dead.note.lines().map(|line| text(&line, &dead.path));
                store.write_atomic(&dead.path, lines.collect::<Result<String>>()?.as_bytes())?;
            }
        }
        Ok(())
    }
}
