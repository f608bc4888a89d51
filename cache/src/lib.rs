//! The content-addressed store of celldag: plain files, no database, no unlock command.
//!
//! A [`Key`] names a piece of work (BLAKE3 of its canonical action), a [`Digest`] names bytes. A result [`Record`] says
//! which digests the work of a key gave. This crate keeps records and bytes on disk such that a `kill -9` at any
//! instant leaves a store that works, that damaged or missing bytes are never taken for a success, and that several
//! processes share one store. It knows nothing about pipelines, nodes or biology.
//!
//! | Where | What |
//! |---|---|
//! | `FORMAT` | version and random id of the store |
//! | `ac/kk/<key>.json` | result records, each with a checksum over itself |
//! | `cas/dd/<digest>` | blobs, read-only; the name is the BLAKE3 of the content, as `b3sum` prints it |
//! | `cas/dd/<digest>.tree` | manifests of folders |
//! | `tmp/<host>-<pid>-<start>-<n>/` | sandboxes of one process, held by a kernel lock |
//! | `locks/<key>` | kernel locks of work in progress; they die with their process |
//! | `memo/<host>.log` | (path, size, mtime, ctime, inode) → digest |
//! | `failed/kk/<key>.json` | the last failure of an action |
//! | `partial/<key>/<name>` | what unfinished work saved of itself, each with a checksum |
//! | `runs/<id>/` | owned by the engine; `used.json` lists the keys that a run used |
//! | `pins/<name>.json` | keys that garbage collection must keep |
//! | `quarantine/` | damaged bytes, kept for a while |
//! | `trees/<digest>/` | folders rebuilt from manifests |
//! | `upload/<key>` | results that wait to be sent to the shared store |
//! | `temporary/<host>-<pid>-<start>-<n>` | which bytes a run has to drop, held by the lock `locks/temporary-...` |
//!
//! Beside a user's file, what is on its way to its place lies in a hidden folder `.celldag~<host>-<pid>-<start>-<n>/`, held
//! by a kernel lock like those in `tmp`. A store of one process, in such a folder, has `tmp/<n>/`.
//!
//! Order of publishing: hash what is on disk, make it read-only, fsync, rename into `cas`, fsync the folder, and only
//! then the record, in the same way. Whatever a crash leaves behind is garbage that nobody refers to.

mod beside;
mod copy;
mod digest;
mod error;
mod failure;
mod fetch;
mod files;
mod find;
mod gc;
mod hash;
mod host;
mod inline;
mod list;
mod lock;
mod look;
mod lookup;
mod materialize;
mod memo;
mod partial;
mod pin;
mod placed;
mod publish;
mod purge;
mod quarantine;
mod record;
mod remote;
mod sandbox;
mod stamp;
mod stats;
mod stop;
mod store;
mod temporary;
mod tree;
mod unpack;
mod usage;
mod verify;

pub use beside::Beside;
pub use digest::{Digest, Key, ParseDigestError};
pub use error::{Result, StoreError};
pub use failure::Failure;
pub use gc::{Evicted, EvictionReason, GcPolicy, GcReport};
pub use hash::digest_file;
pub use lock::KeyLock;
pub use lookup::{Absence, Lookup, MissReason};
pub use materialize::Materialized;
pub use memo::Memo;
pub use partial::{Partial, Saved};
pub use publish::{PublishState, Published};
pub use purge::PurgeReport;
pub use record::{Artifact, Record, RecordMeta};
pub use remote::{PushReport, RemoteOptions, Role};
pub use sandbox::Sandbox;
pub use stats::Stats;
pub use store::{Durability, Options, Store};
pub use temporary::Temporary;
pub use tree::{TreeFile, TreeManifest, digest_tree};
pub use usage::UseLock;
pub use verify::{VerifyProgress, VerifyReport};
