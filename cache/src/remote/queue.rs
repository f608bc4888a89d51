//! What waits to be sent to the shared store: one file per key in `upload/`, so that a crash forgets nothing.
//!
//! An entry is made before the record that it is about. Whoever finds an entry without a record leaves it alone for a
//! while: another process may be about to write the record.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::digest::Key;
use crate::error::Result;
use crate::files;
use crate::remote::Link;
use crate::stamp::age;
use crate::store::{Store, WeakStore, lock};

/// An entry without a record older than this is left over from a crash.
const ORPHAN: Duration = Duration::from_secs(3600);

impl Store {
    fn queue_path(&self, key: &Key) -> PathBuf {
        self.dir("upload").join(key.to_string())
    }

    /// Notes that the result of a key is to be sent. What cannot be noted is not sent, and that is all.
    pub(crate) fn queue_upload(&self, key: &Key) {
        if !self.may_push() {
            return;
        }
        if let Err(e) = self.write_atomic(&self.queue_path(key), b"") {
            tracing::warn!(error = %e, "this result will not be sent to the shared store");
        }
    }

    /// Puts all results of this store into the queue; returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or written to.
    pub fn queue_all(&self) -> Result<u64> {
        let mut queued = 0;
        for key in self.keys()? {
            self.write_atomic(&self.queue_path(&key), b"")?;
            queued += 1;
        }
        Ok(queued)
    }

    /// Keys in the queue.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn queued(&self) -> Result<Vec<Key>> {
        Ok(files::list(&self.dir("upload"))?
            .iter()
            .filter_map(|path| files::name_of(path).parse().ok())
            .collect())
    }

    pub(crate) fn unqueue(&self, key: &Key) -> Result<()> {
        files::remove_file(&self.queue_path(key)).map(|_| ())
    }

    /// Whether an entry is old enough to be without a record for good.
    pub(super) fn is_orphan(&self, key: &Key) -> bool {
        fs_err::metadata(self.queue_path(key)).is_ok_and(|meta| age(&meta) > ORPHAN)
    }

    /// Sends the result of a key in the background, while the run goes on.
    pub(crate) fn upload_soon(&self, key: &Key) {
        let Some(link) = self.shared() else { return };
        if !link.may_write() || !link.is_reachable() {
            return;
        }
        let mut slot = lock(&link.uploader);
        let sender = slot.get_or_insert_with(|| start_uploader(self.downgrade()));
        *lock(&link.pending).entry(*key).or_default() += 1;
        if sender.send(*key).is_err() {
            finish(link, key);
        }
    }
}

/// The thread that uploads. It ends when the store is dropped, and holds it only during an upload.
fn start_uploader(store: WeakStore) -> mpsc::Sender<Key> {
    let (sender, receiver) = mpsc::channel::<Key>();
    std::thread::spawn(move || {
        for key in receiver {
            let Some(store) = store.upgrade() else { return };
            let Some(link) = store.shared().map(Arc::clone) else { return };
            if let Err(e) = store.upload(&key) {
                tracing::warn!(%key, error = %e, "this result waits in the queue for the shared store");
            }
            finish(&link, &key);
        }
    });
    sender
}

fn finish(link: &Link, key: &Key) {
    let mut pending = lock(&link.pending);
    if let Some(count) = pending.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            pending.remove(key);
        }
    }
}
