//! What unfinished work has saved of itself, so that after a kill it goes on from there and does not begin anew.
//!
//! `partial/<key>/<name>` is one line with a checksum, what the state depends on and the seconds of work in it, and then
//! the bytes. A file is written beside the folder and renamed into it: readers see all of it or the one before. The folder
//! belongs to whoever holds the lock of the key ([`crate::KeyLock`]), and to nobody when its process is dead.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Key};
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::lock::KeyLock;
use crate::store::{Store, discard};

/// Hashing context: no other file of the store passes for a saved state.
const CONTEXT: &str = "celldag 2026 saved state v1";

/// Longest name of a state.
const LONGEST_NAME: usize = 100;

/// The saved states of one piece of work, for as long as its key is locked.
#[derive(Debug)]
pub struct Partial<'lock> {
    store: Store,
    dir: PathBuf,
    _lock: &'lock KeyLock,
}

/// A state as it was saved.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Seconds of work that led to it, as its writer said.
    pub seconds: f64,
}

/// What stands in the first line.
#[derive(Serialize, Deserialize)]
struct Header {
    name: String,
    /// What the state depends on besides the key.
    origin: String,
    seconds: f64,
}

impl Store {
    /// Where the work of the locked key may save how far it is. `None` on a file system without locks, where two
    /// processes may do the same work and neither could trust what it finds. Nothing is made on disk before the first
    /// [`Partial::save`].
    #[must_use]
    pub fn partial<'lock>(&self, lock: &'lock KeyLock) -> Option<Partial<'lock>> {
        lock.excludes_others().then(|| Partial {
            store: self.clone(),
            dir: self.dir("partial").join(lock.name()),
            _lock: lock,
        })
    }

    /// Folders of saved states with the keys that they belong to; others are left alone.
    pub(crate) fn partials(&self) -> Result<Vec<(Key, PathBuf)>> {
        let folders = files::list(&self.dir("partial"))?.into_iter();
        Ok(folders.filter_map(|dir| Some((files::name_of(&dir).parse().ok()?, dir))).collect())
    }
}

impl Partial<'_> {
    /// The state last saved as `name` from the same `origin`; `None` when there is none, it is damaged, or it comes from
    /// elsewhere.
    ///
    /// # Errors
    /// When the name is not one, or the file exists and cannot be read.
    pub fn load(&self, name: &str, origin: &str) -> Result<Option<Saved>> {
        let path = self.path(name)?;
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).at("read", &path),
        };
        let Some((header, bytes)) = decode(bytes) else {
            tracing::warn!(path = %path.display(), "a saved state is damaged; the work begins without it");
            return Ok(None);
        };
        if header.name != name || header.origin != origin {
            tracing::debug!(path = %path.display(), of = %header.origin, "a saved state of another origin");
            return Ok(None);
        }
        Ok(Some(Saved { bytes, seconds: header.seconds }))
    }

    /// Saves a state, replacing the one of this name: whole or not at all. `origin` is what it depends on besides the
    /// key (program version, device), `seconds` the work that led to it.
    ///
    /// # Errors
    /// When the name is not one, or the store cannot be written to.
    pub fn save(&self, name: &str, origin: &str, seconds: f64, bytes: &[u8]) -> Result<()> {
        let path = self.path(name)?;
        let header = Header { name: name.to_owned(), origin: origin.to_owned(), seconds };
        let header = serde_json::to_string(&header)
            .map_err(|e| StoreError::io("write", &path, std::io::Error::other(e)))?;
        let line = format!("{} {header}\n", checksum(header.as_bytes(), bytes));
        let tmp = self.store.workspace()?.fresh_path();
        files::write_parts(&tmp, &[line.as_bytes(), bytes], self.store.sync())
            .and_then(|()| files::rename(&tmp, &path, self.store.sync()))
            .inspect_err(|_| discard(&tmp))
    }

    /// Deletes all states, at once for everybody who looks.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn clear(&self) -> Result<()> {
        remove(&self.store, &self.dir)
    }

    /// States are files of one folder: no name leads out of it, or is another one on a disk that ignores case.
    fn path(&self, name: &str) -> Result<PathBuf> {
        let good = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('.') || !name.bytes().all(good) {
            return Err(StoreError::BadName { name: name.to_owned() });
        }
        Ok(self.dir.join(name))
    }
}

/// Deletes a folder of states in one step: half of them would be a state that nobody saved.
pub(crate) fn remove(store: &Store, dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let away = store.workspace()?.fresh_path();
    files::rename(dir, &away, store.sync())?;
    files::remove_tree(&away)
}

/// Whether a file is a state as it was saved.
pub(crate) fn is_intact(path: &Path) -> Result<bool> {
    Ok(decode(fs_err::read(path).at("read", path)?).is_some())
}

fn checksum(header: &[u8], bytes: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(header).update(b"\n").update_rayon(bytes);
    Digest(*hasher.finalize().as_bytes())
}

fn decode(mut bytes: Vec<u8>) -> Option<(Header, Vec<u8>)> {
    let end = bytes.iter().position(|&b| b == b'\n')?;
    let (sum, header) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
    if sum.parse() != Ok(checksum(header.as_bytes(), &bytes[end + 1..])) {
        return None;
    }
    let header = serde_json::from_str(header).ok()?;
    bytes.drain(..=end);
    Some((header, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Durability, Options};

    fn with_partial(test: impl FnOnce(&Partial<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options { durability: Durability::Relaxed }).unwrap();
        let lock = store.lock(&Key::of_action(b"{}"), &mut || {}, &|| false).unwrap().unwrap();
        test(&store.partial(&lock).unwrap());
    }

    #[test]
    fn the_last_state_comes_back_where_it_came_from() {
        with_partial(|partial| {
            assert_eq!(partial.load("state", "gpu").unwrap(), None);
            partial.clear().unwrap();
            for (seconds, bytes) in [(1.5, b"first\n".as_slice()), (2.5, b""), (4.0, b"\nlast\0\xff")] {
                partial.save("state", "gpu", seconds, bytes).unwrap();
                let saved = Saved { bytes: bytes.to_vec(), seconds };
                assert_eq!(partial.load("state", "gpu").unwrap(), Some(saved));
            }
            assert_eq!(partial.load("state", "cpu").unwrap(), None, "of another origin");
            assert_eq!(partial.load("other", "gpu").unwrap(), None);
            fs_err::rename(partial.dir.join("state"), partial.dir.join("other")).unwrap();
            assert_eq!(partial.load("other", "gpu").unwrap(), None, "under another name");
            partial.clear().unwrap();
            assert!(!partial.dir.exists());
        });
    }

    #[test]
    fn names_lead_nowhere_else() {
        with_partial(|partial| {
            for name in ["", ".", "..", "../x", "a/b", "a\\b", "A", ".hidden", "é", "x\n", &"a".repeat(101)]
            {
                assert!(
                    matches!(partial.save(name, "", 0.0, b""), Err(StoreError::BadName { .. })),
                    "{name}"
                );
                assert!(partial.load(name, "").is_err());
            }
            partial.save(&"a".repeat(100), "", 0.0, b"").unwrap();
        });
    }

    /// A cut or a flipped bit anywhere counts as no state.
    #[test]
    fn damage_is_absence() {
        let bytes = prop::collection::vec(any::<u8>(), 0..60);
        with_partial(|partial| {
            proptest!(|(bytes in bytes, at in any::<prop::sample::Index>(), bit in 0..8_u8, cut in any::<bool>())| {
                partial.save("s", "here", 0.25, &bytes).unwrap();
                let path = partial.dir.join("s");
                prop_assert!(is_intact(&path).unwrap());
                let mut file = fs_err::read(&path).unwrap();
                let at = at.index(file.len());
                if cut { file.truncate(at) } else { file[at] ^= 1_u8 << bit }
                fs_err::write(&path, file).unwrap();
                prop_assert_eq!(partial.load("s", "here").unwrap(), None);
                prop_assert!(!is_intact(&path).unwrap());
            });
        });
    }
}
