//! Taking results from the shared store: records when a lookup finds none, bytes when somebody reads them.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use crate::digest::{Digest, Key};
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::hash::digest_stamped;
use crate::record::Record;
use crate::remote::standing::{Standing, ask_record, sign_for};
use crate::remote::{Content, Existing, Link, Object, Put, RemoteError};
use crate::stop::Stop;
use crate::store::{Blob, Store, discard};
use crate::tree::TreeManifest;

/// Bytes at a time.
const CHUNK: usize = 1 << 20;

impl Store {
    /// The record of a key from the shared store. It is kept in the local one if that can be written to.
    pub(crate) fn pull_record(&self, key: &Key, action: &[u8]) -> Option<Record> {
        let link = self.shared()?;
        if link.is_absent(key) {
            return None;
        }
        let Some(theirs) = ask_record(link, key)? else {
            link.set_absent(*key);
            return None;
        };
        let record = match theirs.standing(key, action) {
            Standing::Record(record) => *record,
            Standing::Purged(_) => {
                link.set_absent(*key);
                return None;
            }
            Standing::Damaged(why) => {
                link.set_damaged(Object::Record(*key), &why);
                return None;
            }
        };
        if let Err(e) = self.keep_record(key, &theirs.bytes) {
            tracing::debug!(%key, error = %e, "a record of the shared store is used without being kept");
        }
        Some(record)
    }

    /// Puts a record of the shared store into the local one, where there is none that can be trusted.
    fn keep_record(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let path = self.record_path(key);
        let tmp = self.workspace()?.fresh_path();
        files::write_new(&tmp, bytes, self.sync())?;
        files::create_dir(files::parent(&path)).inspect_err(|_| discard(&tmp))?;
        if files::rename_no_replace(&tmp, &path).inspect_err(|_| discard(&tmp))? {
            return Ok(());
        }
        if self.read_record(key)?.is_ok() {
            discard(&tmp);
            return Ok(());
        }
        files::rename(&tmp, &path, self.sync()).inspect_err(|_| discard(&tmp))
    }

    /// Puts a sign in the place of a record of the shared store if that is `condemned`. Returns whether it was there;
    /// `None` when that is not known, or it could not be replaced.
    pub(crate) fn purge_shared(&self, ours: &Record, condemned: &dyn Fn(&Record) -> bool) -> Option<bool> {
        let Some(link) = self.shared() else { return Some(false) };
        let Some(theirs) = ask_record(link, &ours.key)? else { return Some(false) };
        match theirs.standing(&ours.key, ours.action.get().as_bytes()) {
            Standing::Record(record) if !condemned(&record) => return Some(false),
            Standing::Purged(_) => return Some(false),
            Standing::Record(_) | Standing::Damaged(_) => {}
        }
        let sign = sign_for(&theirs.bytes);
        let existing = theirs.tag.as_deref().map_or(Existing::Replace, Existing::Only);
        let put =
            link.tell(|remote| remote.put(Object::Record(ours.key), Content::Bytes(&sign), existing))?;
        link.set_absent(ours.key);
        // Somebody has put another record there meanwhile, which nobody has looked at.
        (put == Put::Stored).then_some(true)
    }

    /// Whether the shared store has bytes, of this size if it is known. They are not read.
    pub(crate) fn is_in_remote(&self, digest: Digest, size: Option<u64>) -> bool {
        let Some(link) = self.shared() else { return false };
        let there = match link.size(&digest) {
            Some(known) => known,
            None => {
                let Some(answer) = link.ask(|remote| remote.head(Object::Blob(digest))) else { return false };
                link.set_size(digest, answer);
                answer
            }
        };
        there.is_some_and(|there| size.is_none_or(|size| size == there))
    }

    /// Fetches bytes from the shared store into the local one. Returns whether they are there now; only trouble with
    /// the local store is an error.
    pub(crate) fn pull_blob(&self, blob: Blob, size: Option<u64>) -> Result<bool> {
        let Some(link) = self.shared() else { return Ok(false) };
        if !link.is_reachable() || link.size(&blob.digest) == Some(None) {
            // What a lookup saw there cannot be had: the next one must not count on it.
            link.set_size(blob.digest, None);
            return Ok(false);
        }
        let tmp = self.workspace()?.fresh_path();
        let pulled = self.download(link, blob, size, &tmp);
        if !matches!(pulled, Ok(true)) {
            discard(&tmp);
            return pulled;
        }
        let place = || {
            files::set_mode(&tmp, true)?;
            if self.sync() {
                files::sync_file(&tmp)?;
            }
            self.place(&tmp, blob).map(|_| ())
        };
        place().inspect_err(|_| discard(&tmp))?;
        Ok(true)
    }

    fn download(&self, link: &Link, blob: Blob, size: Option<u64>, tmp: &Path) -> Result<bool> {
        let object = Object::Blob(blob.digest);
        let mut local = None;
        let answer = link.ask(|remote| {
            let Some(mut answer) = remote.get(object)? else { return Ok(None) };
            match receive(&mut *answer.reader, size, tmp, self.stop()) {
                Ok(length) => Ok(Some(length)),
                Err(Interrupted::Remote(e)) => Err(e),
                // Not the server's fault, or nobody waits for it: no further attempt.
                Err(Interrupted::Local(e)) => {
                    local = Some(e);
                    Ok(None)
                }
            }
        });
        if let Some(e) = local {
            return Err(e);
        }
        // Not there, or no answer: either way whoever looks it up next has to compute it again.
        let Some(length) = answer.flatten() else {
            link.set_size(blob.digest, None);
            return Ok(false);
        };
        if size.is_some_and(|size| size != length) {
            let why = format!("{length} bytes instead of {}", size.unwrap_or_default());
            link.set_damaged(object, &why);
            return Ok(false);
        }
        // What is on disk is hashed, not what came over the wire.
        let digest = if blob.tree {
            TreeManifest::digest_of(&fs_err::read(tmp).at("read", tmp)?)
        } else {
            digest_stamped(tmp, self.stop())?.0
        };
        if digest != blob.digest {
            link.set_damaged(object, &format!("its content has digest {digest}"));
            return Ok(false);
        }
        Ok(true)
    }
}

enum Interrupted {
    Remote(RemoteError),
    Local(StoreError),
}

/// Writes what comes into a file, anew at each attempt; at most one byte more than there should be. Returns the length.
fn receive(
    reader: &mut dyn Read,
    size: Option<u64>,
    tmp: &Path,
    stop: &Stop,
) -> std::result::Result<u64, Interrupted> {
    let mut file = fs_err::File::create(tmp).at("write", tmp).map_err(Interrupted::Local)?;
    let mut buffer = vec![0_u8; CHUNK];
    let mut length = 0_u64;
    loop {
        stop.check(tmp).map_err(Interrupted::Local)?;
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(Interrupted::Remote(broke_off(&e))),
        };
        file.write_all(&buffer[..n]).at("write", tmp).map_err(Interrupted::Local)?;
        length += n as u64;
        if size.is_some_and(|size| length > size) {
            break;
        }
    }
    Ok(length)
}

/// The kind only: the text could hold a signed address.
pub(super) fn broke_off(error: &std::io::Error) -> RemoteError {
    RemoteError::Unavailable(format!("an answer broke off: {}", error.kind()))
}
