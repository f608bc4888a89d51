//! Publishing a result: bytes first, record last, every step atomic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use crate::copy::copy;
use crate::digest::{Digest, Key};
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::hash::digest_stamped;
use crate::record::{Artifact, Record, RecordMeta};
use crate::stamp::Stamp;
use crate::store::{Blob, Store, discard};
use crate::temporary::Temporary;
use crate::tree::{Hidden, TreeManifest, manifest_of};

/// What came of publishing.
#[derive(Clone, Debug)]
pub struct Published {
    /// The record that counts from now on.
    pub record: Record,
    /// How it relates to what was there.
    pub state: PublishState,
    /// Contents of outputs that the store did not have before: nobody else can have relied on them until now.
    pub created: BTreeSet<Digest>,
}

/// How a published result relates to an earlier one of the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishState {
    /// There was none.
    First,
    /// There was one with the same bytes; it stays.
    Same,
    /// There was a complete one with other bytes on these ports; it stays. The step is not deterministic.
    KeptOther(Vec<String>),
    /// There was one with other bytes on these ports, and some of them were gone; ours replaces it. The step is not
    /// deterministic.
    Replaced(Vec<String>),
}

/// Told of an output that is new in the store.
type Before<'a> = &'a dyn Fn(&Artifact) -> Result<()>;

impl Store {
    /// Stores the outputs of `action` and then its record. Files below a sandbox of this store are moved, others are
    /// copied. If a complete result is there already, that one wins. Folders keep all their files, hidden ones too.
    ///
    /// # Errors
    /// When an output does not exist or is still being written, the disk is full, or the store cannot be written to.
    /// Nothing is half-published then.
    pub fn publish(
        &self,
        key: &Key,
        action: &[u8],
        outputs: &BTreeMap<String, PathBuf>,
        meta: RecordMeta,
    ) -> Result<Published> {
        self.publish_noting(key, action, outputs, meta, &|_| Ok(()))
    }

    /// As [`Self::publish`], of a result whose bytes are `temporary`: they are noted before they get their place.
    ///
    /// # Errors
    /// As [`Self::publish`], and when the note cannot be written.
    pub fn publish_temporary(
        &self,
        key: &Key,
        action: &[u8],
        outputs: &BTreeMap<String, PathBuf>,
        meta: RecordMeta,
        temporary: &Temporary,
    ) -> Result<Published> {
        let note = |artifact: &Artifact| temporary.made(key, artifact);
        let published = self.publish_noting(key, action, outputs, meta, &note)?;
        // An earlier result counts: ours are bytes that no result refers to.
        let counts = |digest: &Digest| published.record.outputs.values().any(|a| a.digest == *digest);
        for digest in published.created.iter().filter(|digest| !counts(digest)) {
            temporary.gone(digest)?;
        }
        Ok(published)
    }

    /// `before` is told of each output that is new, before it gets its place.
    fn publish_noting(
        &self,
        key: &Key,
        action: &[u8],
        outputs: &BTreeMap<String, PathBuf>,
        meta: RecordMeta,
        before: Before<'_>,
    ) -> Result<Published> {
        let raw = check_action(key, action)?;
        let mut linked = Vec::new();
        let mut plain = Vec::new();
        for (port, path) in outputs {
            if !path.exists() {
                return Err(StoreError::OutputMissing { port: port.clone(), path: path.clone() });
            }
            if self.may_move(path)? { plain.push((port, path)) } else { linked.push((port, path)) }
        }
        let patient = self.patient(outputs.values().cloned().collect());
        // A link may point to another output: read everything behind links before anything moves.
        let mut stored = BTreeMap::new();
        let mut inline = BTreeMap::new();
        let mut created = BTreeSet::new();
        for ((port, path), moving) in
            linked.into_iter().map(|p| (p, false)).chain(plain.into_iter().map(|p| (p, true)))
        {
            let artifact = match self.inlined(path)? {
                Some((artifact, text)) => {
                    inline.insert(artifact.digest, text);
                    artifact
                }
                None => {
                    let (artifact, new) = patient.store_output(path, moving, before)?;
                    if new {
                        created.insert(artifact.digest);
                    }
                    artifact
                }
            };
            stored.insert(port.clone(), artifact);
        }
        // Before the record: a crash in between must not leave a result that is never sent.
        self.queue_upload(key);
        let (record, state) =
            self.publish_record(Record { inline, ..Record::new(*key, raw, stored, meta) })?;
        self.note_inline(&record);
        self.upload_soon(key);
        Ok(Published { record, state, created })
    }

    /// The artifact, and whether its content is new in the store.
    fn store_output(&self, path: &Path, moving: bool, before: Before<'_>) -> Result<(Artifact, bool)> {
        if !fs_err::metadata(path).at("read", path)?.is_dir() {
            let (digest, size, new) = self.store_file(path, moving, before)?;
            return Ok((Artifact { digest, size, tree: false }, new));
        }
        let manifest = manifest_of(path, None, Hidden::Include, &mut |file| {
            self.store_file(file, moving, &|_| Ok(())).map(|(digest, size, _)| (digest, size))
        })?;
        let artifact = Artifact { digest: manifest.digest(), size: manifest.size(), tree: true };
        self.if_new(&artifact, before)?;
        let new = self.store_manifest(&manifest)?;
        Ok((artifact, new))
    }

    fn store_manifest(&self, manifest: &TreeManifest) -> Result<bool> {
        let tmp = self.workspace()?.fresh_path();
        let blob = Blob::tree(manifest.digest());
        files::write_new(&tmp, &manifest.to_bytes(), self.sync())
            .and_then(|()| files::set_mode(&tmp, true))
            .and_then(|()| self.place(&tmp, blob))
            .inspect_err(|_| discard(&tmp))
    }

    fn if_new(&self, artifact: &Artifact, before: Before<'_>) -> Result<()> {
        let blob = Blob { digest: artifact.digest, tree: artifact.tree };
        if self.blob_path(blob).exists() { Ok(()) } else { before(artifact) }
    }

    /// Stores one file: hash what is on disk, make it read-only, flush, rename, flush the folder.
    fn store_file(&self, path: &Path, moving: bool, before: Before<'_>) -> Result<(Digest, u64, bool)> {
        // A hard link would let the other name write into the store.
        if moving && has_one_name(path)? {
            return self.seal(path, before);
        }
        let ours = self.workspace()?.fresh_path();
        let stamp = Stamp::of(path)?;
        copy(path, &ours, self.stop()).inspect_err(|_| discard(&ours))?;
        if Stamp::of(path)? != stamp {
            discard(&ours);
            return Err(StoreError::Changed { path: path.to_path_buf() });
        }
        self.seal(&ours, before).inspect_err(|_| discard(&ours))
    }

    fn seal(&self, path: &Path, before: Before<'_>) -> Result<(Digest, u64, bool)> {
        let (digest, hashed) = digest_stamped(path, self.stop())?;
        files::set_mode(path, true)?;
        if self.sync() {
            files::sync_file(path)?;
        }
        let now = Stamp::of(path)?;
        if (now.size, now.mtime) != (hashed.size, hashed.mtime) {
            return Err(StoreError::Changed { path: path.to_path_buf() });
        }
        self.if_new(&Artifact { digest, size: hashed.size, tree: false }, before)?;
        let new = self.place(path, Blob::file(digest))?;
        Ok((digest, hashed.size, new))
    }

    /// Renames a finished file into `cas`; whether there was none. Bytes that are there already are replaced: ours were just
    /// hashed.
    pub(crate) fn place(&self, from: &Path, blob: Blob) -> Result<bool> {
        let to = self.blob_path(blob);
        let known = self.verified().get(&blob).copied();
        if known.is_some() && known == Stamp::of(&to).ok() {
            return files::remove_file(from).map(|_| false);
        }
        if !cfg!(unix) && to.exists() {
            // Windows does not replace read-only files. If the old bytes are bad, this sets them aside.
            if self.fetch_blob(blob, None).is_ok() {
                return files::remove_file(from).map(|_| false);
            }
        }
        let new = !to.exists();
        files::rename(from, &to, self.sync())?;
        let stamp = Stamp::of(&to)?;
        self.verified().insert(blob, stamp);
        Ok(new)
    }

    fn publish_record(&self, record: Record) -> Result<(Record, PublishState)> {
        let path = self.record_path(&record.key);
        let bytes =
            record.encode().map_err(|e| StoreError::BadAction { key: record.key, why: e.to_string() })?;
        let tmp = self.workspace()?.fresh_path();
        files::write_new(&tmp, &bytes, self.sync())?;
        let folder = files::parent(&path);
        files::create_dir(folder).inspect_err(|_| discard(&tmp))?;
        let first = files::rename_no_replace(&tmp, &path).inspect_err(|_| discard(&tmp))?;
        let state = if first {
            PublishState::First
        } else {
            let before = self.read_record(&record.key)?.ok();
            // Our blobs were stored before this look: an old record with the same digests is complete again, unless
            // what it lacks is in our record.
            if let Some(old) = before.as_ref().filter(|old| old.action.get() == record.action.get()) {
                let differing = differing_ports(old, &record);
                if self.absent(old)?.is_empty() {
                    discard(&tmp);
                    let state = if differing.is_empty() {
                        PublishState::Same
                    } else {
                        PublishState::KeptOther(differing)
                    };
                    return Ok((old.clone(), state));
                }
                files::rename(&tmp, &path, false).inspect_err(|_| discard(&tmp))?;
                if differing.is_empty() { PublishState::Same } else { PublishState::Replaced(differing) }
            } else {
                files::rename(&tmp, &path, false).inspect_err(|_| discard(&tmp))?;
                PublishState::First
            }
        };
        if self.sync() {
            files::sync_dir(folder)?;
            files::sync_dir(files::parent(folder))?;
        }
        Ok((record, state))
    }

    /// Whether a path lies in our own temporary folder, with no link anywhere on the way to it or below it.
    fn may_move(&self, path: &Path) -> Result<bool> {
        let workspace = self.workspace()?;
        let real = fs_err::canonicalize(path).at("read", path)?;
        let inside = real == path && real.starts_with(workspace.dir());
        Ok(inside && !has_links(path)?)
    }
}

fn check_action(key: &Key, action: &[u8]) -> Result<Box<RawValue>> {
    let bad = |why: String| StoreError::BadAction { key: *key, why };
    if Key::of_action(action) != *key {
        return Err(bad("the key is not the hash of the action".into()));
    }
    let text = std::str::from_utf8(action).map_err(|e| bad(e.to_string()))?;
    let raw: Box<RawValue> = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    if raw.get() != text {
        return Err(bad("it begins or ends with white space".into()));
    }
    Ok(raw)
}

/// Ports on which two records of one action have different bytes.
fn differing_ports(a: &Record, b: &Record) -> Vec<String> {
    let ports: BTreeSet<_> = a.outputs.keys().chain(b.outputs.keys()).collect();
    ports.into_iter().filter(|port| a.outputs.get(*port) != b.outputs.get(*port)).cloned().collect()
}

fn has_links(path: &Path) -> Result<bool> {
    let meta = fs_err::symlink_metadata(path).at("read", path)?;
    if !meta.is_dir() {
        return Ok(meta.is_symlink());
    }
    for entry in files::list(path)? {
        if has_links(&entry)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(unix)]
fn has_one_name(path: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs_err::symlink_metadata(path).at("read", path)?.nlink() == 1)
}

/// Without link counts nothing is moved.
#[cfg(not(unix))]
fn has_one_name(_path: &Path) -> Result<bool> {
    Ok(false)
}
