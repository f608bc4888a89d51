//! Each key is computed once, however many processes and threads want it; locks die with their holder.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::common::{Fixture, is_hit, key, publish, role, start};
use celldag_cache::{Store, StoreError};

const KEYS: usize = 6;

/// What an engine does: lock, look again, compute and publish. Appends a line for each computation.
fn compute_all(store: &Store, log: &Path) {
    let _in_use = store.use_shared().unwrap();
    for i in 0..KEYS {
        let name = format!("job {i}");
        if is_hit(store, &name) {
            continue;
        }
        let _lock = store.lock(&key(&name), &mut || {}, &|| false).unwrap().unwrap();
        if !is_hit(store, &name) {
            let mut log = fs_err::OpenOptions::new().append(true).create(true).open(log).unwrap();
            log.write_all(format!("{name}\n").as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(40));
            publish(store, &name, name.as_bytes());
        }
    }
}

#[test]
fn child() {
    let Some((role, dir)) = role() else { return };
    let store = crate::common::open(&dir);
    if role.ends_with("with leases") {
        store.use_leases();
    }
    match role.trim_end_matches(" with leases") {
        "compute" => compute_all(&store, &dir.join("computed.log")),
        "hold" => {
            let _lock = store.lock(&key("held"), &mut || {}, &|| false).unwrap().unwrap();
            let _in_use = store.use_shared().unwrap();
            println!("holding");
            std::thread::sleep(Duration::from_secs(60));
        }
        other => panic!("role {other}"),
    }
}

#[test]
fn three_processes_compute_each_key_once() {
    three_processes("compute");
}

#[test]
fn three_processes_with_leases_do_so_too() {
    three_processes("compute with leases");
}

fn three_processes(role: &str) {
    // The store does not exist yet: opening it is part of the race.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let spawn = || start("flight", role, &root).stdout(Stdio::null()).spawn().unwrap();
    let mut children: Vec<_> = (0..3).map(|_| spawn()).collect();
    assert!(children.iter_mut().all(|c| c.wait().unwrap().success()));
    let log = fs_err::read_to_string(root.join("computed.log")).unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    let expected: Vec<_> = (0..KEYS).map(|i| format!("job {i}")).collect();
    assert_eq!(lines, expected);
    let store = crate::common::open(&root);
    assert!(store.verify(&mut |_| {}).unwrap().is_clean());
    // Nothing is left: no lock files, no temporary folders.
    let names = |name: &str| {
        fs_err::read_dir(root.join(name)).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names("locks"), ["store"]);
    assert!(names("tmp").is_empty());
}

#[test]
fn threads_exclude_each_other_under_heavy_contention() {
    let f = Fixture::new();
    let (inside, done) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let lock = f.store.lock(&key("x"), &mut || {}, &|| false).unwrap().unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                    drop(lock);
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 200);
}

#[test]
fn a_waiter_is_told_and_can_give_up() {
    let f = Fixture::new();
    let _held = f.store.lock(&key("x"), &mut || panic!("nobody to wait for"), &|| false).unwrap().unwrap();
    let (mut told, start) = (0, Instant::now());
    let cancelled = || start.elapsed() > Duration::from_millis(150);
    let lock = f.reopen().lock(&key("x"), &mut || told += 1, &cancelled).unwrap();
    assert!(lock.is_none() && told == 1);
    // Other keys are not affected.
    assert!(f.store.lock(&key("y"), &mut || {}, &|| false).unwrap().is_some());
}

#[test]
fn locks_of_a_killed_process_are_free_at_once() {
    let f = Fixture::new();
    let mut holder = start("flight", "hold", f.store.root()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holding")));

    assert!(matches!(f.store.gc(&Default::default()), Err(StoreError::InUse { .. })));
    let start = Instant::now();
    let patience = || start.elapsed() > Duration::from_millis(100);
    assert!(f.store.lock(&key("held"), &mut || {}, &patience).unwrap().is_none());

    holder.kill().unwrap();
    holder.wait().unwrap();
    let start = Instant::now();
    let patience = || start.elapsed() > Duration::from_secs(10);
    drop(f.store.lock(&key("held"), &mut || {}, &patience).unwrap().expect("the lock died with its process"));
    f.store.gc(&Default::default()).unwrap();
}

#[test]
fn the_lease_of_a_killed_process_is_taken_over_when_nobody_touched_it_for_a_minute() {
    let f = Fixture::new();
    f.store.use_leases();
    let mut holder =
        start("flight", "hold with leases", f.store.root()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holding")));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let wait = |time| {
        let start = Instant::now();
        f.store.lock(&key("held"), &mut || {}, &|| start.elapsed() > time).unwrap()
    };
    assert!(wait(Duration::from_millis(100)).is_none(), "it may be alive on another machine");
    let lease = f.store.root().join("locks").join(format!("{}.lease", key("held")));
    let file = fs_err::OpenOptions::new().write(true).open(&lease).unwrap();
    file.file().set_modified(SystemTime::now() - Duration::from_secs(61)).unwrap();
    drop(wait(Duration::from_secs(10)).expect("taken over"));
    assert!(!lease.exists());
}

/// Different work often comes to the same bytes: a threshold that changes nothing. Each process puts its own file in the place
/// of the other's, and whoever reads meanwhile must not take that for damage.
#[test]
fn equal_results_of_different_work_do_not_disturb_each_other() {
    let fixture = Fixture::new();
    let bytes = vec![7_u8; 2 << 20];
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (dir, bytes) = (fixture.dir.path().join("store"), &bytes);
            scope.spawn(move || {
                for round in 0..8 {
                    // As another process: what one store has checked, the next one has not.
                    let store = crate::common::open(&dir);
                    let record = publish(&store, &format!("work {worker} {round}"), bytes).record;
                    let artifact = record.outputs.values().next().unwrap();
                    let other = crate::common::open(&dir);
                    assert_eq!(fs_err::read(other.fetch(artifact).unwrap()).unwrap().len(), bytes.len());
                }
            });
        }
    });
    let quarantined = fixture.dir.path().join("store/quarantine");
    assert!(!fs_err::read_dir(quarantined).is_ok_and(|mut entries| entries.next().is_some()));
}
