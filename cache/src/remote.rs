//! A store that several machines share: objects on an S3 or HTTP server, behind the local store.
//!
//! `v1/ac/<key>` holds a record, byte for byte as the local store has it, and `v1/cas/<digest>` bytes: a file, or the
//! manifest of a folder. The server is not trusted: a record must carry its checksum and the very action that was asked
//! for, and bytes must have the digest that they are called by; anything else counts as not there. No trouble with the
//! server fails a run. It costs one warning, and the work goes on with the local store.
//!
//! Lookups ask the server about what the local store lacks (`pull`), results go to it by a queue that survives a crash
//! (`queue`, `push`).

mod address;
mod conflict;
mod credentials;
mod http;
mod link;
mod pull;
mod push;
mod queue;
mod s3;
mod standing;
mod transport;

use std::fmt;
use std::io::Read;
use std::path::Path;

use crate::digest::{Digest, Key};

pub use address::{RemoteOptions, Role};
pub(crate) use credentials::process_env;
pub(crate) use link::Link;
pub use push::PushReport;

/// The name of something on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    Record(Key),
    /// A file, or the manifest of a folder; their digests cannot coincide.
    Blob(Digest),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(key) => write!(f, "v1/ac/{key}"),
            Self::Blob(digest) => write!(f, "v1/cas/{digest}"),
        }
    }
}

/// What is sent; it can be read again for another attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    Bytes(&'a [u8]),
    /// A file with its size in bytes.
    File(&'a Path, u64),
}

/// What may happen to an object of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing<'a> {
    /// It stays, and ours is refused.
    Keep,
    Replace,
    /// It is replaced if it is the version with this [`Answer::tag`]; otherwise it stays, and ours is refused.
    Only(&'a str),
}

impl<'a> Existing<'a> {
    /// As the header of a request.
    pub(crate) fn condition(self) -> Option<(&'static str, &'a str)> {
        match self {
            Self::Keep => Some(("if-none-match", "*")),
            Self::Replace => None,
            Self::Only(tag) => Some(("if-match", tag)),
        }
    }
}

/// An object that is being read.
pub(crate) struct Answer {
    pub(crate) reader: Box<dyn Read>,
    /// The server's name for this version of the object, if it can be used in a condition.
    pub(crate) tag: Option<String>,
}

/// What came of sending something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Stored,
    /// Something of this name was there already.
    Conflict,
}

/// Why a server did not do what it was asked for. The texts hold no key, token or signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RemoteError {
    /// It does not let us: 401 or 403.
    #[error("the server refused access ({0})")]
    Denied(String),
    /// It does not answer, or says that it cannot now: worth another attempt.
    #[error("{0}")]
    Unavailable(String),
    /// It cannot prove who it is: another attempt would end the same, and so would any other request.
    #[error("{0}")]
    Untrusted(String),
    /// It does not understand or accept the request; another attempt would end the same.
    #[error("{0}")]
    Rejected(String),
}

/// What a shared store has to be able to do. Each call is one attempt.
pub(crate) trait Remote: Send + Sync {
    /// Reads an object; `None` when there is none.
    fn get(&self, object: Object) -> Result<Option<Answer>, RemoteError>;

    /// The size of an object in bytes; `None` when there is none.
    fn head(&self, object: Object) -> Result<Option<u64>, RemoteError>;

    /// Writes an object. With [`Existing::Keep`] the server decides in one step whether ours is the first.
    fn put(&self, object: Object, content: Content<'_>, existing: Existing<'_>) -> Result<Put, RemoteError>;
}
