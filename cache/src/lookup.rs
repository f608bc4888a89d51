//! Looking a result up: a hit only when everything about it is right, otherwise the reason why not.

use std::fmt;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use crate::digest::{Digest, Key};
use crate::error::{IoContext, Result};
use crate::record::{Artifact, Record};
use crate::stamp::age;
use crate::store::{Blob, Store};
use crate::tree::{TreeFile, TreeManifest};

/// The time of last use is kept this exactly; finer would write to the disk at every look.
const TOUCH: Duration = Duration::from_secs(600);

/// What the store knows about a key.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The result with all its bytes.
    Hit(Box<Record>),
    /// The result is known, but some bytes are not there (temporary, evicted or lost). Its digests are still good for
    /// keys downstream; whoever needs the bytes has to compute it again.
    Partial {
        /// The result.
        record: Box<Record>,
        /// What is not there.
        absent: Vec<Absence>,
    },
    /// Nothing usable.
    Miss(MissReason),
}

impl Lookup {
    /// The record of a complete result.
    #[must_use]
    pub fn hit(self) -> Option<Record> {
        match self {
            Self::Hit(record) => Some(*record),
            _ => None,
        }
    }
}

/// Bytes that a record refers to and that are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Output port.
    pub port: String,
    /// The blob.
    pub digest: Digest,
    /// Bytes, if that is known.
    pub size: Option<u64>,
    /// Whether something is there that has another size.
    pub wrong_size: bool,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// Never computed here, or evicted.
    Unknown,
    /// There is a record, but it cannot be trusted.
    DamagedRecord(String),
    /// There is a record of another action under this key: a mistake in the encoding of actions.
    OtherAction,
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not in the store"),
            Self::DamagedRecord(why) => write!(f, "the stored record is damaged: {why}"),
            Self::OtherAction => f.write_str("the stored record belongs to another action"),
        }
    }
}

impl Store {
    /// Looks up the result of `action`, whose key is `key`. Content is not hashed here but at first use
    /// ([`Store::fetch`]). Notes the use for garbage collection. Takes no lock, works on a read-only store.
    ///
    /// # Errors
    /// When the record exists and cannot be read (permissions, disk errors).
    pub fn lookup(&self, key: &Key, action: &[u8]) -> Result<Lookup> {
        let record = match self.read_record(key)? {
            Ok(record) => record,
            Err(reason) => match self.pull_record(key, action) {
                Some(record) => record,
                None => return Ok(Lookup::Miss(reason)),
            },
        };
        if record.action.get().as_bytes() != action {
            tracing::error!(%key, "a record under this key belongs to another action");
            return Ok(Lookup::Miss(MissReason::OtherAction));
        }
        self.touch(key);
        self.note_inline(&record);
        let record = Box::new(record);
        let mut absent = self.absent(&record)?;
        // What the shared store has is fetched when somebody reads it.
        absent.retain(|absence| !self.is_in_remote(absence.digest, absence.size));
        Ok(if absent.is_empty() { Lookup::Hit(record) } else { Lookup::Partial { record, absent } })
    }

    /// The record of a key, whether its bytes are there or not; `None` when there is none that can be trusted.
    ///
    /// # Errors
    /// When it exists and cannot be read.
    pub fn record(&self, key: &Key) -> Result<Option<Record>> {
        let record = self.read_record(key)?.ok();
        if let Some(record) = &record {
            self.note_inline(record);
        }
        Ok(record)
    }

    pub(crate) fn read_record(&self, key: &Key) -> Result<std::result::Result<Record, MissReason>> {
        let path = self.record_path(key);
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Err(MissReason::Unknown)),
            Err(e) => return Err(e).at("read", &path),
        };
        Ok(match Record::decode(&bytes) {
            Ok(record) if record.key == *key => Ok(record),
            Ok(_) => Err(MissReason::DamagedRecord("it belongs to another key".into())),
            Err(why) => Err(MissReason::DamagedRecord(why)),
        })
    }

    /// Bytes that the record refers to and that are not there, or have the wrong size.
    pub(crate) fn absent(&self, record: &Record) -> Result<Vec<Absence>> {
        let mut absent = Vec::new();
        for (port, artifact) in record.outputs.iter().filter(|(_, a)| !record.inline.contains_key(&a.digest))
        {
            for (digest, size, state) in self.presence(artifact)? {
                let wrong_size = match state {
                    Presence::Right => continue,
                    Presence::Absent => false,
                    Presence::WrongSize => true,
                };
                absent.push(Absence { port: port.clone(), digest, size, wrong_size });
            }
        }
        Ok(absent)
    }

    fn presence(&self, artifact: &Artifact) -> Result<Vec<(Digest, Option<u64>, Presence)>> {
        if !artifact.tree {
            let state = self.blob_presence(Blob::file(artifact.digest), Some(artifact.size))?;
            return Ok(vec![(artifact.digest, Some(artifact.size), state)]);
        }
        let Some(manifest) = self.read_manifest(&artifact.digest)? else {
            let state = self.blob_presence(Blob::tree(artifact.digest), None)?;
            let state = if state == Presence::Absent { state } else { Presence::WrongSize };
            return Ok(vec![(artifact.digest, None, state)]);
        };
        let files = manifest.files.values();
        let state = |f: &TreeFile| self.blob_presence(Blob::file(f.digest), Some(f.size));
        files.map(|f| Ok((f.digest, Some(f.size), state(f)?))).collect()
    }

    fn blob_presence(&self, blob: Blob, size: Option<u64>) -> Result<Presence> {
        let path = self.blob_path(blob);
        match fs_err::metadata(&path) {
            Ok(meta) if meta.is_file() && size.is_none_or(|s| s == meta.len()) => Ok(Presence::Right),
            Ok(_) => Ok(Presence::WrongSize),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Presence::Absent),
            Err(e) => Err(e).at("read", &path),
        }
    }

    /// The manifest of a stored folder; `None` when it is not there or damaged.
    pub(crate) fn read_manifest(&self, digest: &Digest) -> Result<Option<TreeManifest>> {
        let path = self.blob_path(Blob::tree(*digest));
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).at("read", &path),
        };
        if TreeManifest::digest_of(&bytes) != *digest {
            return Ok(None);
        }
        Ok(TreeManifest::from_bytes(&bytes))
    }

    /// Notes that a record was used, as its modification time. Failing (a read-only store, a record of another user)
    /// only makes the record look older than it is.
    fn touch(&self, key: &Key) {
        let path = self.record_path(key);
        let recent = fs_err::metadata(&path).is_ok_and(|meta| age(&meta) < TOUCH);
        if !recent
            && !self.looks_only()
            && let Ok(file) = fs_err::File::open(&path)
        {
            let _ = file.file().set_modified(SystemTime::now());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Right,
    Absent,
    WrongSize,
}
