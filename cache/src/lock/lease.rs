//! A lock for file systems that have none: a file that only one can create, and that its holder touches while it lives.
//!
//! Who finds a lease that nobody has touched for a minute takes it over. A machine that slept may find its lease taken:
//! then two compute the same, which costs time and harms nothing.

use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use fs_err::OpenOptions;

use crate::error::{IoContext, Result};
use crate::files;
use crate::host::process_name;

/// File name ending; lock files are called by their key alone.
pub(crate) const ENDING: &str = ".lease";

/// How often a holder touches its lease, and after how long without that it counts as dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    beat: Duration,
    expiry: Duration,
}

impl Pace {
    /// For real work: a busy server of files may take seconds.
    pub(crate) const USUAL: Self = Self { beat: Duration::from_secs(5), expiry: Duration::from_secs(60) };
}

/// While it lives, others see that the work is being done.
#[derive(Debug)]
pub(crate) struct Lease {
    path: PathBuf,
    owner: String,
    stop: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

impl Lease {
    /// One attempt at the lease beside the lock file `lock`; `None` when somebody holds it.
    pub(crate) fn take(lock: &Path, pace: Pace) -> Result<Option<Self>> {
        let path = beside(lock);
        let owner = unique();
        let renew = || Ok(files::remove_file(&path)? && create(&path, &owner)?);
        if !create(&path, &owner)? && !if_expired(&path, pace, renew)? {
            return Ok(None);
        }
        let (stop, stopped) = channel();
        let (beaten, name, beat) = (path.clone(), owner.clone(), pace.beat);
        let heart = std::thread::spawn(move || {
            while stopped.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                // A server that does not answer now may do so at the next beat.
                let _ = touch(&beaten, &name);
            }
        });
        Ok(Some(Self { path, owner, stop: Some(stop), heart: Some(heart) }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
        if fs_err::read_to_string(&self.path).is_ok_and(|owner| owner == self.owner) {
            let _ = files::remove_file(&self.path);
        }
    }
}

/// Deletes a lease whose holder is dead; returns whether it is.
pub(crate) fn release_dead(path: &Path, dry_run: bool) -> Result<bool> {
    if dry_run {
        return is_expired(path, Pace::USUAL);
    }
    if_expired(path, Pace::USUAL, || files::remove_file(path))
}

/// Whether the lock file `lock` has a lease beside it whose holder lives.
pub(crate) fn is_alive(lock: &Path) -> Result<bool> {
    let path = beside(lock);
    Ok(path.exists() && !is_expired(&path, Pace::USUAL)?)
}

fn beside(lock: &Path) -> PathBuf {
    lock.with_file_name(format!("{}{ENDING}", files::name_of(lock)))
}

fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", process_name(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Makes the file unless there is one; returns whether it did.
fn create(path: &Path, owner: &str) -> Result<bool> {
    let open = || OpenOptions::new().write(true).create_new(true).open(path);
    let file = match open() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            files::create_dir(files::parent(path))?;
            open()
        }
        other => other,
    };
    match file {
        Ok(mut file) => file.write_all(owner.as_bytes()).at("write", path).map(|()| true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e).at("create the lock", path),
    }
}

/// Makes the lease look used, if it is still ours. Its text is written again rather than its time set: so the clock of the
/// file server counts, as it does for the probe of [`is_expired`]. A lease that somebody takes over between the look and the
/// write has another file, which this does not reach.
fn touch(path: &Path, owner: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut found = String::new();
    file.read_to_string(&mut found)?;
    if found == owner {
        file.rewind()?;
        file.write_all(owner.as_bytes())?;
    }
    Ok(())
}

/// Whether nobody has touched the lease for too long. Times are compared with a file that is made now on the same file
/// system, so that clocks of two machines that differ do no harm. A time far in the future was set by a clock that was wrong,
/// and would else hold the lease until then.
fn is_expired(path: &Path, pace: Pace) -> Result<bool> {
    let Some(touched) = modified(path)? else { return Ok(false) };
    let probe = path.with_file_name(format!(".{}", unique()));
    files::write_new(&probe, b"", false)?;
    let now = modified(&probe);
    files::remove_file(&probe)?;
    let now = now?.unwrap_or_else(SystemTime::now);
    let distance = now.duration_since(touched).unwrap_or_else(|ahead| ahead.duration());
    Ok(distance > pace.expiry)
}

fn modified(path: &Path) -> Result<Option<SystemTime>> {
    match fs_err::metadata(path).and_then(|meta| meta.modified()) {
        Ok(time) => Ok(Some(time)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).at("read", path),
    }
}

/// Does `change` if the lease is dead, while nobody else does: who finds it dead may have looked before somebody else
/// took it over. Returns what `change` returns.
fn if_expired(path: &Path, pace: Pace, change: impl FnOnce() -> Result<bool>) -> Result<bool> {
    if !is_expired(path, pace)? {
        return Ok(false);
    }
    let guard = path.with_file_name(format!(".{}", files::name_of(path)));
    if !create(&guard, "")? {
        // Held for an instant; one that is old was left by a crash.
        if is_expired(&guard, pace)? {
            files::remove_file(&guard)?;
        }
        return Ok(false);
    }
    let done = is_expired(path, pace).and_then(|expired| if expired { change() } else { Ok(false) });
    files::remove_file(&guard)?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Pace = Pace { beat: Duration::from_millis(10), expiry: Duration::from_secs(2) };

    fn take(dir: &Path, pace: Pace) -> Option<Lease> {
        Lease::take(&dir.join("locks").join("key"), pace).unwrap()
    }

    #[test]
    fn one_holds_it_for_as_long_as_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let held = take(dir.path(), QUICK).unwrap();
        let start = std::time::Instant::now();
        while start.elapsed() < QUICK.expiry * 3 / 2 {
            assert!(take(dir.path(), QUICK).is_none(), "its heart beats");
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(held);
        assert!(take(dir.path(), QUICK).is_some());
        assert!(files::list(&dir.path().join("locks")).unwrap().is_empty(), "nothing is left over");
    }

    #[test]
    fn of_many_who_find_a_dead_one_one_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let path = dir.path().join("locks").join("key.lease");
            files::create_dir(files::parent(&path)).unwrap();
            fs_err::write(&path, "dead").unwrap();
            set_time(&path, SystemTime::now() - Duration::from_secs(61));
            let taken: Vec<Option<Lease>> = std::thread::scope(|scope| {
                let tries: Vec<_> = (0..6).map(|_| scope.spawn(|| take(dir.path(), Pace::USUAL))).collect();
                tries.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(taken.iter().flatten().count() <= 1);
            let again = take(dir.path(), Pace::USUAL);
            assert_eq!(again.is_none(), taken.iter().flatten().count() == 1);
        }
    }

    fn set_time(path: &Path, time: SystemTime) {
        OpenOptions::new().write(true).open(path).unwrap().file().set_modified(time).unwrap();
    }

    #[test]
    fn a_time_in_the_future_does_not_hold_a_lease_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.lease");
        fs_err::write(&path, "dead").unwrap();
        let second = Duration::from_secs(1);
        set_time(&path, SystemTime::now() + Pace::USUAL.expiry / 2);
        assert!(!is_expired(&path, Pace::USUAL).unwrap(), "clocks differ a little");
        set_time(&path, SystemTime::now() + Pace::USUAL.expiry + 10 * second);
        assert!(is_expired(&path, Pace::USUAL).unwrap());
    }

    #[test]
    fn a_heart_beats_for_its_own_lease_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.lease");
        fs_err::write(&path, "me").unwrap();
        let past = SystemTime::now() - Duration::from_secs(1000);
        set_time(&path, past);
        touch(&path, "somebody").unwrap();
        assert!(is_expired(&path, Pace::USUAL).unwrap());
        touch(&path, "me").unwrap();
        assert!(!is_expired(&path, Pace::USUAL).unwrap());
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "me");
    }

    #[test]
    fn garbage_collection_removes_only_dead_ones() {
        let dir = tempfile::tempdir().unwrap();
        let held = take(dir.path(), Pace::USUAL).unwrap();
        assert!(!release_dead(&held.path, false).unwrap());
        set_time(&held.path, SystemTime::now() - Duration::from_secs(61));
        assert!(release_dead(&held.path, true).unwrap() && held.path.exists());
        assert!(release_dead(&held.path, false).unwrap() && !held.path.exists());
    }
}
