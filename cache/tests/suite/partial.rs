//! Unfinished work goes on after `kill -9` at any instant from the last state that was saved, whole and its own; what it
//! saved is gone when it is done, and nobody else's business before.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::common::{Fixture, files_below, key, publish, role, start, tamper};
use celldag_cache::{Durability, GcPolicy, GcReport, KeyLock, Options, Store};
use rand::{RngExt, SeedableRng};

const DAY: Duration = Duration::from_secs(86_400);

fn locked(store: &Store, name: &str) -> KeyLock {
    store.lock(&key(name), &mut || {}, &|| false).unwrap().unwrap()
}

fn folder(store: &Store, name: &str) -> PathBuf {
    store.root().join("partial").join(key(name).to_string())
}

/// The state after `n` steps: of several sizes, some of them in many writes, and recognisable.
fn state(n: u64) -> Vec<u8> {
    let body = (0..(n * 7919) % 90_000).map(|i| (i * (n + 1) % 251) as u8);
    n.to_le_bytes().into_iter().chain(body).collect()
}

/// The number of steps in what was saved; `None` when nothing was.
fn steps(store: &Store) -> Option<u64> {
    let lock = locked(store, "work");
    let saved = store.partial(&lock).unwrap().load("state", "here").unwrap()?;
    let n = u64::from_le_bytes(saved.bytes[..8].try_into().unwrap());
    assert!(saved.bytes == state(n), "the state is not what step {n} saved");
    assert_eq!(saved.seconds, n as f64);
    Some(n)
}

#[test]
fn child() {
    let Some((_, dir)) = role() else { return };
    // Full durability, so that a kill also hits between the fsyncs.
    let store = Store::open(&dir, Options { durability: Durability::Full }).unwrap();
    let mut n = steps(&store).unwrap_or(0);
    let lock = locked(&store, "work");
    let partial = store.partial(&lock).unwrap();
    // Until it is killed, so that each kill hits work.
    loop {
        n += 1;
        partial.save("state", "here", n as f64, &state(n)).unwrap();
    }
}

#[test]
fn killed_while_saving() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let (mut last, mut moves) = (0, 0);
    for round in 0..14 {
        let after = if round < 4 { 2 + round * 3 } else { random.random_range(20..300) };
        let mut process = start("partial", "work", &root).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        assert!(process.try_wait().unwrap().is_none(), "ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();

        let store = crate::common::open(&root);
        let report = store.verify(&mut |_| {}).unwrap();
        assert!(report.is_clean() && report.foreign.is_empty(), "round {round}: {report:?}");
        // Only whole states lie in the folder: what was being written lay elsewhere, and opening swept it.
        let there =
            if root.join("partial").exists() { files_below(&root.join("partial")) } else { Vec::new() };
        assert!(there.is_empty() || there == [folder(&store, "work").join("state")], "{there:?}");
        let now = steps(&store).unwrap_or(0);
        assert!(now >= last, "a saved state got lost");
        moves += u32::from(now > last);
        last = now;
    }
    assert!(moves >= 5, "the processes were killed before they did anything");

    let store = crate::common::open(&root);
    let lock = locked(&store, "work");
    publish(&store, "work", b"done");
    store.partial(&lock).unwrap().clear().unwrap();
    drop(lock);
    assert_eq!(files_below(&root.join("partial")), [] as [PathBuf; 0]);
    assert_eq!(fs_err::read_dir(root.join("partial")).unwrap().count(), 0);
}

fn save(store: &Store, name: &str, state: &str, bytes: &[u8]) -> PathBuf {
    let lock = locked(store, name);
    store.partial(&lock).unwrap().save(state, "here", 1.0, bytes).unwrap();
    folder(store, name).join(state)
}

fn make_older(path: &Path, age: Duration) {
    fs_err::File::open(path).unwrap().file().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn garbage_collection_takes_what_is_old_or_done() {
    let f = Fixture::new();
    let store = &f.store;
    let young = save(store, "young", "state", b"12");
    let old = save(store, "old", "state", b"12");
    save(store, "old", "fold-0", b"1");
    let done = save(store, "done", "state", b"12");
    publish(store, "done", b"result");
    make_older(old.parent().unwrap(), DAY * 31);
    let foreign = store.root().join("partial/notes");
    fs_err::write(&foreign, "mine").unwrap();
    let size = |path: &PathBuf| fs_err::metadata(path).unwrap().len();

    let policy = GcPolicy { max_age: Some(DAY * 30), ..GcPolicy::default() };
    let taken = |report: &GcReport| (report.partials, report.partial_bytes, report.freed_bytes());
    let bytes = size(&old) + size(&old.with_file_name("fold-0")) + size(&done);
    let planned = store.gc(&GcPolicy { dry_run: true, ..policy }).unwrap();
    assert_eq!(taken(&planned), (2, bytes, bytes));
    assert!(old.exists() && done.exists());
    let stats = store.stats().unwrap();
    assert_eq!((stats.partials, stats.partial_bytes), (3, bytes + size(&young) + 4));

    assert_eq!(taken(&store.gc(&policy).unwrap()), (2, bytes, bytes));
    assert!(young.exists() && foreign.exists());
    assert!(!old.parent().unwrap().exists() && !done.parent().unwrap().exists());
    assert_eq!(store.stats().unwrap().partials, 1);
    // Without a limit on age nothing is too old.
    make_older(young.parent().unwrap(), DAY * 400);
    assert_eq!(store.gc(&GcPolicy::default()).unwrap().partials, 0);
}

#[test]
fn a_state_of_a_result_whose_bytes_are_gone_is_still_of_use() {
    let f = Fixture::new();
    let result = publish(&f.store, "temporary", b"bytes").record.outputs["out"];
    fs_err::remove_file(crate::common::blob_path(&f.store, &result)).unwrap();
    let state = save(&f.store, "temporary", "state", b"half way");
    f.store.gc(&GcPolicy { max_age: Some(DAY), ..GcPolicy::default() }).unwrap();
    assert!(state.exists());
}

#[test]
fn verify_sets_damaged_states_aside() {
    let f = Fixture::new();
    save(&f.store, "good", "state", b"good");
    let bad = save(&f.store, "bad", "state", b"bad");
    let busy = save(&f.store, "busy", "state", b"busy");
    for path in [&bad, &busy] {
        tamper(path, |bytes| *bytes.last_mut().unwrap() ^= 1);
    }
    let lock = locked(&f.store, "busy");
    let report = f.store.verify(&mut |_| {}).unwrap();
    assert_eq!(
        (report.partials, &report.damaged_partials, report.is_clean()),
        (1, &vec![bad.clone()], false)
    );
    assert!(!bad.exists() && busy.exists());
    assert_eq!(f.store.stats().unwrap().quarantined, 1);
    // Who works on it sees the damage itself.
    assert_eq!(f.store.partial(&lock).unwrap().load("state", "here").unwrap(), None);
    drop(lock);
    let lock = locked(&f.store, "bad");
    assert_eq!(f.store.partial(&lock).unwrap().load("state", "here").unwrap(), None);
}
