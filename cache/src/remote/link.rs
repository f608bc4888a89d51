//! What a process knows about its shared store: how to reach it, what it answered, and whether it answers at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::digest::{Digest, Key};
use crate::error::Result;
use crate::remote::address::{Address, Place, RemoteOptions, Role, without_secrets};
use crate::remote::credentials::{Env, s3_keys};
use crate::remote::http::HttpRemote;
use crate::remote::s3::S3Remote;
use crate::remote::{Object, Remote, RemoteError};
use crate::store::lock;

/// Attempts at a request.
const ATTEMPTS: u32 = 3;

/// Before the second attempt; each further wait is four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A server that did not answer is left alone for so long: waiting for it at every lookup would stop the run.
const REST: Duration = Duration::from_secs(120);

/// A shared store behind a local one.
pub(crate) struct Link {
    remote: Box<dyn Remote>,
    /// Its address without secrets.
    name: String,
    offline: bool,
    role: Role,
    /// Whether the server said that we may not write.
    refused: AtomicBool,
    /// When the server did not answer.
    down: Mutex<Option<Instant>>,
    /// What was warned of, by kind.
    told: Mutex<BTreeSet<&'static str>>,
    /// Records that are not there.
    absent: Mutex<BTreeSet<Key>>,
    /// Sizes of bytes that are there; `None` for those that are not.
    sizes: Mutex<BTreeMap<Digest, Option<u64>>>,
    /// Objects that turned out damaged: the next upload replaces them.
    damaged: Mutex<BTreeSet<Object>>,
    /// To the thread that uploads, once there is one.
    pub(super) uploader: Mutex<Option<mpsc::Sender<Key>>>,
    /// Keys that the thread has not finished, counted.
    pub(super) pending: Mutex<BTreeMap<Key, usize>>,
}

impl Link {
    pub(crate) fn new(options: &RemoteOptions, env: Env<'_>) -> Result<Self> {
        let address = Address::parse(&options.address, env)?;
        let remote: Box<dyn Remote> = match address.place {
            Place::Http { base } => {
                let http = HttpRemote::new(base, env)?;
                if http.shows_credentials() {
                    tracing::warn!("the token for the shared store travels unencrypted: use https://");
                }
                Box::new(http)
            }
            Place::S3 { bucket, prefix, endpoint, path_style, region, anonymous } => {
                let keys = if anonymous { None } else { s3_keys(env)? };
                Box::new(S3Remote::new((bucket, prefix), (endpoint, path_style), region, keys)?)
            }
        };
        let role = options.role.unwrap_or(address.role);
        Ok(Self::over(remote, without_secrets(&options.address), role, options.offline))
    }

    pub(super) fn over(remote: Box<dyn Remote>, name: String, role: Role, offline: bool) -> Self {
        Self {
            remote,
            name,
            offline,
            role,
            refused: AtomicBool::default(),
            down: Mutex::default(),
            told: Mutex::default(),
            absent: Mutex::default(),
            sizes: Mutex::default(),
            damaged: Mutex::default(),
            uploader: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// Whether results are meant to go to the server, be it now or later.
    pub(super) fn is_writer(&self) -> bool {
        self.role == Role::Write
    }

    /// Whether results may be sent now, as far as is known.
    pub(super) fn may_write(&self) -> bool {
        self.is_writer() && !self.refused.load(Ordering::Relaxed)
    }

    /// Whether asking makes sense now.
    pub(super) fn is_reachable(&self) -> bool {
        !self.offline && lock(&self.down).is_none_or(|since| since.elapsed() > REST)
    }

    pub(super) fn is_offline(&self) -> bool {
        self.offline
    }

    /// Makes a request, several times if need be. `None` when the server cannot be asked or did not do it; the user
    /// has then been told once. What we may not read counts as not there, which is the default of `T`.
    pub(super) fn ask<T: Default>(
        &self,
        mut request: impl FnMut(&dyn Remote) -> Result<T, RemoteError>,
    ) -> Option<T> {
        if !self.is_reachable() {
            return None;
        }
        match attempts(|| request(&*self.remote)) {
            Ok(answer) => {
                *lock(&self.down) = None;
                Some(answer)
            }
            Err(e) => {
                self.note(&e, "read from");
                matches!(e, RemoteError::Denied(_)).then(T::default)
            }
        }
    }

    /// As [`Self::ask`], for writing.
    pub(super) fn tell<T>(
        &self,
        mut request: impl FnMut(&dyn Remote) -> Result<T, RemoteError>,
    ) -> Option<T> {
        if !self.is_reachable() || !self.may_write() {
            return None;
        }
        match attempts(|| request(&*self.remote)) {
            Ok(answer) => {
                *lock(&self.down) = None;
                Some(answer)
            }
            Err(e) => {
                if matches!(e, RemoteError::Denied(_)) {
                    self.refused.store(true, Ordering::Relaxed);
                }
                self.note(&e, "write to");
                None
            }
        }
    }

    fn note(&self, error: &RemoteError, what: &'static str) {
        match error {
            RemoteError::Unavailable(_) | RemoteError::Untrusted(_) => {
                *lock(&self.down) = Some(Instant::now());
                self.warn("down", &format!("{error}; going on with the local store"));
            }
            RemoteError::Denied(_) if what == "write to" => self.warn(
                "read-only",
                &format!(
                    "cannot {what} it: {error}; it is only read from now on, and results wait in the queue (if \
                     only reading is meant, say so with `--remote-role read`)"
                ),
            ),
            // S3 says so about objects that do not exist to those who may not list the bucket.
            RemoteError::Denied(_) => self.warn(
                "denied",
                &format!("cannot {what} it: {error}; what cannot be read counts as not there"),
            ),
            RemoteError::Rejected(_) => {
                self.warn(what, &format!("cannot {what} it: {error}; going on with the local store"));
            }
        }
    }

    /// Warns once of each kind of trouble.
    pub(super) fn warn(&self, kind: &'static str, text: &str) {
        if lock(&self.told).insert(kind) {
            tracing::warn!("shared store {}: {text}", self.name);
        } else {
            tracing::debug!("shared store {}: {text}", self.name);
        }
    }

    pub(super) fn is_absent(&self, key: &Key) -> bool {
        lock(&self.absent).contains(key)
    }

    pub(super) fn set_absent(&self, key: Key) {
        lock(&self.absent).insert(key);
    }

    /// What is known about bytes on the server: their size, or that there are none.
    pub(super) fn size(&self, digest: &Digest) -> Option<Option<u64>> {
        lock(&self.sizes).get(digest).copied()
    }

    pub(super) fn set_size(&self, digest: Digest, size: Option<u64>) {
        lock(&self.sizes).insert(digest, size);
    }

    pub(super) fn is_damaged(&self, object: Object) -> bool {
        lock(&self.damaged).contains(&object)
    }

    /// Something on the server is not what it is called. It counts as not there.
    pub(super) fn set_damaged(&self, object: Object, why: &str) {
        lock(&self.damaged).insert(object);
        match object {
            Object::Record(key) => self.set_absent(key),
            Object::Blob(digest) => self.set_size(digest, None),
        }
        tracing::warn!("shared store {}: {object} is damaged ({why}) and is not used", self.name);
    }

    pub(super) fn set_healed(&self, object: Object) {
        lock(&self.damaged).remove(&object);
    }
}

/// Tries again while the server is only busy.
fn attempts<T>(mut request: impl FnMut() -> Result<T, RemoteError>) -> Result<T, RemoteError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match request() {
            Err(RemoteError::Unavailable(why)) => {
                tracing::debug!("shared store: {why}; trying again");
                std::thread::sleep(pause);
                pause *= 4;
            }
            other => return other,
        }
    }
    request()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(error: &RemoteError) -> u32 {
        let mut count = 0;
        let answer: Result<(), _> = attempts(|| {
            count += 1;
            Err(error.clone())
        });
        assert_eq!(answer.as_ref(), Err(error));
        count
    }

    #[test]
    fn only_a_busy_server_is_asked_again() {
        assert_eq!(asked(&RemoteError::Unavailable("busy".into())), ATTEMPTS);
        for error in [RemoteError::Untrusted, RemoteError::Rejected, RemoteError::Denied] {
            assert_eq!(asked(&error("no".into())), 1);
        }
    }
}
